# Perl DBD::Pg through a connection string's parts: perl matrix.pl HOST PORT USER PASSWORD DATABASE
use strict;
use warnings;
use DBI;
use DBD::Pg qw(:pg_types);

my ($host, $port, $user, $password, $database) = @ARGV;
sub open_it { DBI->connect("dbi:Pg:dbname=$database;host=$host;port=$port", $user, $password,
    { RaiseError => 1, PrintError => 0, AutoCommit => 1, pg_enable_utf8 => 1 }) }
sub check { my ($ok, $what) = @_; die "step failed: $what\n" unless $ok; }

my $db = open_it();
check($db->ping, "ping");
my ($n, $t, $null) = $db->selectrow_array('select ?::int + 1, ?::text, ?::text', undef, 41, "x'y", undef);
check($n == 42 && $t eq "x'y" && !defined $null, "parameters and null");
my $again = $db->prepare('select ?::int * 2');
for my $i (1 .. 20) { $again->execute($i); check($again->fetchrow_array == 2 * $i, "prepared again $i"); $again->finish; }
my @many = map { open_it() } 1 .. 6;
my @statements = map { my $k = $_; [$k, $many[$k]->prepare("select ?::int + $k")] } 0 .. 5;
for my $round (1 .. 10) {
    for (@statements) { my ($k, $s) = @$_; $s->execute($round); check($s->fetchrow_array == $round + $k, "interleaved"); $s->finish; }
}
my $big = 'x' x (10 * 1024 * 1024);
check(($db->selectrow_array('select ?::text', undef, $big))[0] eq $big, "10 MB");
check(@{ $db->selectall_arrayref('select n from generate_series(1, 100000) n') } == 100_000, "100 000 rows");
$db->do('create table if not exists matrix_perl (k int primary key, v text)');
$db->do('truncate matrix_perl');
$db->begin_work;
$db->do('insert into matrix_perl values (?, ?)', undef, 1, 'kept');
$db->pg_savepoint('s');
eval { $db->do('insert into matrix_perl values (?, ?)', undef, 1, 'twice'); };
check($db->state eq '23505', "duplicate key is " . $db->state);
$db->pg_rollback_to('s');
$db->commit;
$db->begin_work;
$db->do("insert into matrix_perl values (2, 'lost')");
$db->rollback;
check($db->selectrow_array('select count(*) from matrix_perl') == 1, "rollback");
$db->do('copy matrix_perl from stdin');
$db->pg_putcopydata("$_\tvalue\n") for 10 .. 1000;
$db->pg_putcopyend;
$db->do('copy matrix_perl to stdout');
my ($row, $seen) = ('', 0);
$seen++ while $db->pg_getcopydata($row) >= 0;
check($seen == 992, "copy out gave $seen");
$_->disconnect for @many, $db;
print "passed\n";
