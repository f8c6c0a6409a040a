"""psycopg2: everything by simple queries with literals; named cursors, COPY, cancel."""

import io
import sys
import threading

import psycopg2
from psycopg2 import errors

url = sys.argv[1]
db = psycopg2.connect(url)
cursor = db.cursor()
cursor.execute("select %s, %s, %s, %s", [42, "żółć '\\", None, [1, 2]])
assert cursor.fetchone() == (42, "żółć '\\", None, [1, 2])
big = "x" * (10 << 20)
cursor.execute("select %s", [big])
assert cursor.fetchone()[0] == big
cursor.execute("select n from generate_series(1, 100000) n")
assert len(cursor.fetchall()) == 100000
cursor.execute("create table if not exists matrix_psycopg2 (k int primary key, v text)")
cursor.execute("truncate matrix_psycopg2")
db.commit()
cursor.execute("insert into matrix_psycopg2 values (1, 'kept')")
cursor.execute("savepoint s")
try:
    cursor.execute("insert into matrix_psycopg2 values (1, 'twice')")
except errors.UniqueViolation:
    cursor.execute("rollback to savepoint s")
db.commit()
cursor.execute("insert into matrix_psycopg2 values (2, 'lost')")
db.rollback()
named = db.cursor("named")
named.itersize = 100
named.execute("select n from generate_series(1, 1000) n")
assert sum(1 for _ in named) == 1000
db.commit()
cursor.copy_expert("copy matrix_psycopg2 from stdin", io.StringIO("".join(f"{k}\tv\n" for k in range(10, 5000))))
out = io.StringIO()
cursor.copy_expert("copy matrix_psycopg2 to stdout", out)
assert out.getvalue().count("\n") == 1 + 4990
db.commit()
cancelled = threading.Event()


def cancel():
    """Again and again: on a busy machine the first may come before its query."""
    while not cancelled.wait(0.3):
        db.cancel()


canceller = threading.Thread(target=cancel)
canceller.start()
try:
    cursor.execute("select pg_sleep(600)")
    raise AssertionError("not cancelled")
except errors.QueryCanceled:
    cancelled.set()
    canceller.join()
    db.rollback()
failures = []


def client(n):
    try:
        own = psycopg2.connect(url)
        own.autocommit = True
        with own.cursor() as c:
            for i in range(40):
                c.execute("select %s, %s", [n, i])
                assert c.fetchone() == (n, i)
        own.close()
    except Exception as error:
        failures.append(error)


threads = [threading.Thread(target=client, args=[n]) for n in range(20)]
[t.start() for t in threads]
[t.join() for t in threads]
assert not failures, failures[0]
print("passed")
