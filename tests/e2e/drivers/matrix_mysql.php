<?php
// PHP on mysqlnd: PDO (emulated and native prepares) and mysqli: php matrix_mysql.php HOST PORT USER PASSWORD DATABASE
[, $host, $port, $user, $password, $database] = $argv;
function check($ok, $what) { if (!$ok) { fwrite(STDERR, "step failed: $what\n"); exit(1); } }
$text = "żółć \u{1F600} '\"\\ % _ \n\r\t\x1a";
$bytes = implode('', array_map('chr', range(0, 255)));

foreach ([true, false] as $emulate) {
    $open = fn() => new PDO("mysql:host=$host;port=$port;dbname=$database;charset=utf8mb4", $user, $password,
        [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION, PDO::ATTR_EMULATE_PREPARES => $emulate, PDO::MYSQL_ATTR_LOCAL_INFILE => true]);
    $db = $open();
    $many = array_map(fn() => $open(), range(1, 5));
    for ($round = 0; $round < 10; $round++) {
        foreach ($many as $k => $one) {
            $s = $one->prepare("select ? + $k as v, ? as t");
            $s->execute([$round, null]);
            $row = $s->fetch(PDO::FETCH_ASSOC);
            check($row['v'] == $round + $k && $row['t'] === null, "interleaved");
        }
    }
    // The second and later executions of a native statement send no types.
    $statements = array_map(fn($one) => $one->prepare('select ? as v, ? as w'), $many);
    foreach (range(1, 20) as $i) {
        foreach ($statements as $k => $s) {
            $s->execute([$i * 10 + $k, $i % 2 ? "w$i" : null]);
            $row = $s->fetch(PDO::FETCH_ASSOC);
            check($row['v'] == $i * 10 + $k && $row['w'] === ($i % 2 ? "w$i" : null), "prepared again");
            $s->closeCursor();
        }
    }
    unset($s, $statements);
    $db->exec('drop table if exists matrix_php');
    $db->exec('create table matrix_php (k int primary key, s text, b longblob, n decimal(20,6), d datetime(6))');
    $s = $db->prepare('insert into matrix_php values (?, ?, ?, ?, ?)');
    $s->execute([1, $text, $bytes, '123.456000', '2026-11-23 10:11:12.345678']);
    $s->execute([2, '', null, null, null]);
    check($s->rowCount() == 1, "row count");
    $rows = $db->query('select s, b, n, d from matrix_php order by k')->fetchAll(PDO::FETCH_NUM);
    check($rows == [[$text, $bytes, '123.456000', '2026-11-23 10:11:12.345678'], ['', null, null, null]], "values");
    $big = str_repeat('x', 10 * 1024 * 1024);
    $s = $db->prepare('select ? v');
    $s->execute([$big]);
    check($s->fetchColumn() === $big, "10 MB");
    check(count($db->query('select seq from seq_1_to_100000')->fetchAll()) == 100000, "100 000 rows");
    $db->setAttribute(PDO::MYSQL_ATTR_USE_BUFFERED_QUERY, false);
    $seen = 0;
    foreach ($db->query('select seq from seq_1_to_100000') as $row) $seen++;
    check($seen == 100000, "unbuffered");
    $db->setAttribute(PDO::MYSQL_ATTR_USE_BUFFERED_QUERY, true);
    $db->beginTransaction();
    $db->exec("insert into matrix_php (k) values (3)");
    $db->exec('savepoint s');
    try { $db->exec("insert into matrix_php (k) values (3)"); check(false, "duplicate"); }
    catch (PDOException $e) { check($e->getCode() == '23000' && $e->errorInfo[1] == 1062, "code " . $e->getCode()); }
    $db->exec('rollback to savepoint s');
    $db->commit();
    $db->beginTransaction();
    $db->exec("insert into matrix_php (k) values (4)");
    $db->rollBack();
    check($db->query('select count(*) from matrix_php')->fetchColumn() == 3, "rollback");
    $db->exec('drop table if exists matrix_php_ids');
    $db->exec('create table matrix_php_ids (id int auto_increment primary key, v int)');
    $db->exec('insert into matrix_php_ids (v) values (7)');
    check($db->lastInsertId() == 1, "lastInsertId");
    if ($emulate) {
        $s = $many[0]->query('select 1 a; select 2 b');
        check($s->fetchColumn() == 1, "first of several statements");
        check($s->nextRowset(), "next of several statements");
        check($s->fetchColumn() == 2, "second of several statements");
        $s->closeCursor();
    }
    $file = tempnam('/tmp', 'hd-php');
    file_put_contents($file, implode('', array_map(fn($k) => "$k\tloaded\t\\N\t\\N\t\\N\n", range(100, 1099))));
    check($db->exec("load data local infile '$file' into table matrix_php") == 1000, "LOCAL INFILE");
    unlink($file);
    unset($s, $db, $many);
}

mysqli_report(MYSQLI_REPORT_ERROR | MYSQLI_REPORT_STRICT);
$my = new mysqli($host, $user, $password, $database, (int)$port);
$my->set_charset('utf8mb4');
check($my->query("select 'a' v")->fetch_assoc() === ['v' => 'a'], "mysqli query");
$s = $my->prepare('select ? v, ? w, ? x');
foreach (range(1, 20) as $i) {
    $w = $i % 3 ? "w$i" : null; $x = $i / 4;
    $s->bind_param('isd', $i, $w, $x);
    $s->execute();
    check($s->get_result()->fetch_row() == [$i, $w, $x], "mysqli execute");
}
$null = null;
$s = $my->prepare('select length(?) n, sha2(?, 256) m');
$s->bind_param('bs', $null, $text);
foreach (str_split($bytes . $bytes, 100) as $part) $s->send_long_data(0, $part);
$s->execute();
check($s->get_result()->fetch_row() == [512, hash('sha256', $text)], "send_long_data");
// A cursor: rows are fetched in parts.
$s = $my->prepare('select seq from seq_1_to_2000');
$s->attr_set(MYSQLI_STMT_ATTR_CURSOR_TYPE, MYSQLI_CURSOR_TYPE_READ_ONLY);
$s->execute();
$s->bind_result($n);
$sum = 0;
while ($s->fetch()) $sum += $n;
check($sum == 2001000, "cursor");
$s->close();
check($my->multi_query('select 1; select 2; select * from no_such_table'), "multi_query");
$got = [];
try { do { if ($r = $my->store_result()) { $got[] = $r->fetch_row()[0]; $r->free(); } } while ($my->next_result()); }
catch (mysqli_sql_exception $e) { $got[] = $e->getCode(); }
check($got == [1, 2, 1146], "multi_query results " . json_encode($got));
check($my->query('select 5')->fetch_row()[0] == 5, "after an error");
$my->autocommit(false);
$my->query("insert into matrix_php (k) values (9000)");
$my->rollback();
$my->autocommit(true);
check($my->query("select count(*) from matrix_php where k = 9000")->fetch_row()[0] == 0, "autocommit off");
check($my->ping() && $my->stat() !== false, "ping and statistics");
check($my->change_user($user, $password, $database) && $my->query('select 6')->fetch_row()[0] == 6, "change_user");
$my->close();
print "passed\n";
