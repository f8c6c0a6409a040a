"""PyMySQL and mysqlclient: matrix_mysql_dbapi.py MODULE HOST PORT USER PASSWORD DATABASE. Autocommit is off by default."""

import importlib
import os
import sys
import tempfile
import threading
from decimal import Decimal

module = importlib.import_module(sys.argv[1])
HOST, PORT, USER, PASSWORD, DATABASE = sys.argv[2:7]
CURSORS = importlib.import_module(f"{sys.argv[1]}.cursors")
TABLE = f"matrix_{sys.argv[1].lower()}"
TEXT = "żółć \U0001f600 '\"\\ % _ \n\r\t\x1a"


def connect(**more):
    return module.connect(**({"host": HOST, "port": int(PORT), "user": USER, "password": PASSWORD, "database": DATABASE,
                              "charset": "utf8mb4"} | more))


def rows(connection, sql, values=None):
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return list(cursor.fetchall())


def number_of(work) -> int:
    try:
        work()
    except module.Error as error:
        return error.args[0]
    raise AssertionError("no error")


db = connect()
rows(db, f"drop table if exists {TABLE}")
rows(db, f"create table {TABLE} (k bigint primary key, n decimal(20,6), s text, b longblob, d datetime(6))")
import datetime  # noqa: E402
when = datetime.datetime(2026, 11, 23, 10, 11, 12, 345678)
rows(db, f"insert into {TABLE} values (%s, %s, %s, %s, %s)", (9007199254740993, Decimal("123.450000"), TEXT, bytes(range(256)), when))
rows(db, f"insert into {TABLE} values (%s, %s, %s, %s, %s)", (2, None, "", b"", None))
db.commit()
assert rows(db, f"select * from {TABLE} order by k desc") == [
    (9007199254740993, Decimal("123.450000"), TEXT, bytes(range(256)), when), (2, None, "", b"", None)]
db.commit()

# Transactions and savepoints; autocommit is off from the first statement on.
rows(db, f"insert into {TABLE} (k) values (3)")
rows(db, "savepoint s")
assert number_of(lambda: rows(db, f"insert into {TABLE} (k) values (3)")) == 1062
rows(db, f"insert into {TABLE} (k) values (4)")
rows(db, "rollback to savepoint s")
db.commit()
rows(db, f"insert into {TABLE} (k) values (5)")
db.rollback()
assert rows(db, f"select k from {TABLE} where k < 10 order by k") == [(2,), (3,)]
db.commit()
other = connect(autocommit=True)
rows(db, f"insert into {TABLE} (k) values (6)")
assert rows(other, f"select count(*) from {TABLE} where k = 6") == [(0,)], "not committed yet"
db.commit()
assert rows(other, f"select count(*) from {TABLE} where k = 6") == [(1,)]

# Errors, big values, many rows, row by row.
assert number_of(lambda: rows(db, "selec 1")) == 1064
assert number_of(lambda: rows(db, "select * from no_such_table")) == 1146
db.rollback()
big = "x" * (10 << 20)
assert rows(other, "select %s, length(%s)", (big, "abc")) == [(big, 3)]
assert len(rows(other, "select seq, concat('row ', seq) from seq_1_to_100000")) == 100_000
with other.cursor(CURSORS.SSCursor) as cursor:
    cursor.execute("select seq from seq_1_to_100000")
    assert sum(1 for _ in cursor) == 100_000
with other.cursor() as cursor:
    cursor.executemany(f"insert into {TABLE} (k, s) values (%s, %s)", [(1000 + i, f"v{i}") for i in range(500)])
    assert cursor.rowcount == 500
    cursor.execute(f"update {TABLE} set s = 'v1' where k = 1001")
    # mysqlclient counts found rows (CLIENT_FOUND_ROWS off: changed ones) as the server says them.
    assert cursor.rowcount == 0, cursor.rowcount
    cursor.execute(f"insert into {TABLE} (k, s) values (5000, 'x')")
    assert cursor.rowcount == 1

# Several statements, a procedure, LOCAL INFILE.
many = connect(autocommit=True, client_flag=1 << 16, local_infile=1)
with many.cursor() as cursor:
    cursor.execute("select 1; select 'two', null; select 3 from dual where false")
    results = [list(cursor.fetchall())]
    while cursor.nextset():
        results.append(list(cursor.fetchall()))
    assert results[:3] == [[(1,)], [("two", None)], []], results
    cursor.execute(f"drop procedure if exists {TABLE}_p")
    cursor.execute(f"create procedure {TABLE}_p(n int) begin select n; select n + 1; end")
    cursor.callproc(f"{TABLE}_p", (41,))
    assert list(cursor.fetchall()) == [(41,)] and cursor.nextset() and list(cursor.fetchall()) == [(42,)]
    while cursor.nextset():
        pass
    with tempfile.NamedTemporaryFile("w", suffix=".tsv") as file:
        file.writelines(f"{10_000 + i}\t1.5\tloaded\t\\N\t\\N\n" for i in range(5000))
        file.flush()
        cursor.execute(f"load data local infile '{file.name}' into table {TABLE}")
        assert cursor.rowcount == 5000
    missing = os.path.join(tempfile.gettempdir(), "no-such-file.tsv")
    number_of(lambda: cursor.execute(f"load data local infile '{missing}' into table {TABLE}"))
many.close()
many = connect(autocommit=True)
many.ping()
many.select_db(DATABASE)
assert rows(many, "select database()") == [(DATABASE,)]

# Eight clients with autocommit off, each with units of work of its own, on whatever pool there is.
failures = []


def client(number: int):
    try:
        mine = connect()
        for i in range(25):
            rows(mine, f"insert into {TABLE} (k, s) values (%s, %s)", (1_000_000 + number * 1000 + i, f"c{number}"))
            assert rows(mine, f"select count(*), min(s), max(s) from {TABLE} where k between %s and %s",
                        (1_000_000 + number * 1000, 1_000_999 + number * 1000)) == [(i + 1, f"c{number}", f"c{number}")]
            mine.commit()
        mine.close()
    except BaseException as error:
        failures.append(error)


threads = [threading.Thread(target=client, args=(n,)) for n in range(8)]
[t.start() for t in threads]
[t.join() for t in threads]
assert not failures, failures
assert rows(other, f"select count(*) from {TABLE} where k between 1000000 and 1999999") == [(200,)]
for connection in (db, other, many):
    connection.close()
print("passed")
