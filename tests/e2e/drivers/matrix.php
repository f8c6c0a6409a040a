<?php
// PHP: PDO (native and emulated prepares) and the pgsql functions: php matrix.php HOST PORT USER PASSWORD DATABASE
[, $host, $port, $user, $password, $database] = $argv;
function check($ok, $what) { if (!$ok) { fwrite(STDERR, "step failed: $what\n"); exit(1); } }

foreach ([false, true] as $emulate) {
    $open = fn() => new PDO("pgsql:host=$host;port=$port;dbname=$database", $user, $password,
        [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION, PDO::ATTR_EMULATE_PREPARES => $emulate]);
    $db = $open();
    $many = array_map(fn() => $open(), range(1, 5));
    for ($round = 0; $round < 10; $round++) {
        foreach ($many as $k => $one) {
            $s = $one->prepare("select ?::int + $k as v, ?::text as t");
            $s->execute([$round, null]);
            $row = $s->fetch(PDO::FETCH_ASSOC);
            check($row['v'] == $round + $k && $row['t'] === null, "interleaved");
        }
    }
    $s = $db->prepare('select ?::int * 2 as v');
    foreach (range(1, 20) as $i) { $s->execute([$i]); check($s->fetchColumn() == 2 * $i, "prepared again"); }
    unset($s);
    $big = str_repeat('x', 10 * 1024 * 1024);
    $s = $db->prepare('select ?::text');
    $s->execute([$big]);
    check($s->fetchColumn() === $big, "10 MB");
    check(count($db->query('select n from generate_series(1, 100000) n')->fetchAll()) == 100000, "100 000 rows");
    $db->exec('create table if not exists matrix_php (k int primary key, v text)');
    $db->exec('truncate matrix_php');
    $db->beginTransaction();
    $db->exec("insert into matrix_php values (1, 'kept')");
    $db->exec('savepoint s');
    try { $db->exec("insert into matrix_php values (1, 'twice')"); check(false, "duplicate"); }
    catch (PDOException $e) { check($e->getCode() == '23505', "code " . $e->getCode()); }
    $db->exec('rollback to savepoint s');
    $db->commit();
    $db->beginTransaction();
    $db->exec("insert into matrix_php values (2, 'lost')");
    $db->rollBack();
    check($db->query('select count(*) from matrix_php')->fetchColumn() == 1, "rollback");
    $db->pgsqlCopyFromArray('matrix_php', array_map(fn($k) => "$k\tvalue\n", range(10, 500)));
    check(count($db->pgsqlCopyToArray('matrix_php')) == 492, "copy");
}
$raw = pg_connect("host=$host port=$port user=$user password=$password dbname=$database");
check(pg_fetch_result(pg_query_params($raw, 'select $1::int + 1', [41]), 0, 0) == 42, "pg_query_params");
pg_prepare($raw, 'same', 'select $1::int + 1');
foreach (range(1, 10) as $i) check(pg_fetch_result(pg_execute($raw, 'same', [$i]), 0, 0) == $i + 1, "pg_execute");
print "passed\n";
