# Perl DBD::mysql and DBD::MariaDB: perl matrix_mysql.pl DRIVER HOST PORT USER PASSWORD DATABASE
use strict;
use warnings;
use utf8;
use DBI;

my ($driver, $host, $port, $user, $password, $database) = @ARGV;
my $p = lc $driver;    # attributes begin with the driver's name
sub open_it { my (%more) = @_;
    my $db = DBI->connect("dbi:$driver:database=$database;host=$host;port=$port", $user, $password,
        { RaiseError => 1, PrintError => 0, AutoCommit => 1, ($p eq 'mysql' ? (mysql_enable_utf8mb4 => 1) : ()), %more });
    $db->do('set names utf8mb4') if $p eq 'mysql';
    return $db }
sub check { my ($ok, $what) = @_; die "step failed: $what\n" unless $ok; }

for my $native (0, 1) {
    my %how = ("${p}_server_prepare" => $native);
    my $db = open_it(%how);
    check($db->ping, "ping");
    my $text = "żółć 'x\\y\"";
    my ($n, $t, $null) = $db->selectrow_array('select ? + 1, ?, ?', undef, 41, $text, undef);
    check($n == 42 && $t eq $text && !defined $null, "parameters and null");
    my $again = $db->prepare('select ? * 2');
    for my $i (1 .. 20) { $again->execute($i); check($again->fetchrow_array == 2 * $i, "prepared again $i"); $again->finish; }
    my @many = map { open_it(%how) } 1 .. 6;
    my @statements = map { my $k = $_; [$k, $many[$k]->prepare("select ? + $k")] } 0 .. 5;
    for my $round (1 .. 10) {
        for (@statements) { my ($k, $s) = @$_; $s->execute($round); check($s->fetchrow_array == $round + $k, "interleaved"); $s->finish; }
    }
    undef @statements;
    my $big = 'x' x (10 * 1024 * 1024);
    check(($db->selectrow_array('select ?', undef, $big))[0] eq $big, "10 MB");
    check(@{ $db->selectall_arrayref('select seq from seq_1_to_100000') } == 100_000, "100 000 rows");
    $db->do('create or replace table matrix_perl (k int primary key, v text)');
    $db->begin_work;
    $db->do('insert into matrix_perl values (?, ?)', undef, 1, 'kept');
    $db->do('savepoint s');
    eval { $db->do('insert into matrix_perl values (?, ?)', undef, 1, 'twice'); };
    check($db->err == 1062 && $db->state eq '23000', "duplicate key is " . $db->err);
    $db->do('rollback to savepoint s');
    $db->commit;
    $db->begin_work;
    $db->do("insert into matrix_perl values (2, 'lost')");
    $db->rollback;
    check($db->selectrow_array('select count(*) from matrix_perl') == 1, "rollback");
    $db->do('create or replace table matrix_perl_ids (id int auto_increment primary key, v int)');
    $db->do('insert into matrix_perl_ids (v) values (?)', undef, 5);
    check($db->last_insert_id(undef, undef, undef, undef) == 1, "last_insert_id");
    $_->disconnect for @many, $db;
}
print "passed\n";
