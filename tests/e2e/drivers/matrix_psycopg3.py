"""psycopg 3: typed parameters, binary, prepared after the fifth use, pipelines, COPY, cancel, server-side cursors."""

import sys
import threading

import psycopg
from psycopg import errors

url = sys.argv[1]
BIG = "x" * (10 << 20)


def connect(**more):
    return psycopg.connect(url, **{"autocommit": True, **more})


with connect() as db:
    for binary in (False, True):
        row = db.execute("select %s::int, %s::text, %s::float8, %s::bool, %s::bytea, %s::text, %s::int[]",
                         [42, "żółć", 1.5, True, b"\x00\x01\xff", None, [1, 2, 3]], binary=binary).fetchone()
        assert row == (42, "żółć", 1.5, True, b"\x00\x01\xff", None, [1, 2, 3]), row
    assert db.execute("select %s::text", [BIG]).fetchone()[0] == BIG
    assert len(db.execute("select n from generate_series(1, 100000) n").fetchall()) == 100000
    for i in range(30):
        assert db.execute("select %s::int * 2", [i]).fetchone()[0] == 2 * i
    for i in range(250):  # more distinct prepared statements than the client keeps: Close and DEALLOCATE
        for _ in range(7):
            assert db.execute(f"select %s::int + {i}", [1]).fetchone()[0] == i + 1
    with db.pipeline():
        cursors = [db.execute("select %s::int", [i]) for i in range(100)]
    assert [c.fetchone()[0] for c in cursors] == list(range(100))
    try:
        with db.pipeline():
            db.execute("select 1")
            db.execute("select 1 / %s", [0])
            db.execute("select 2")
    except errors.DivisionByZero:
        pass
    else:
        raise AssertionError("no error from the pipeline")
    assert db.execute("select 1").fetchone()[0] == 1
    db.execute("create table if not exists matrix_psycopg (k int primary key, v text)")
    db.execute("truncate matrix_psycopg")
    with db.transaction():
        db.execute("insert into matrix_psycopg values (1, 'kept')")
        try:
            with db.transaction():
                db.execute("insert into matrix_psycopg values (1, 'twice')")
        except errors.UniqueViolation:
            pass
    with db.cursor() as cursor:
        cursor.executemany("insert into matrix_psycopg values (%s, %s)", [(k, "many") for k in range(10, 300)])
        with cursor.copy("copy matrix_psycopg from stdin") as copy:
            for k in range(1000, 9000):
                copy.write_row((k, "copied"))
        with cursor.copy("copy matrix_psycopg to stdout") as copy:
            assert sum(1 for _ in copy.rows()) == 1 + 290 + 8000
    try:
        with db.cursor().copy("copy matrix_psycopg from stdin") as copy:
            copy.write_row((1, "twice"))
    except errors.UniqueViolation:
        pass
    with db.transaction(), db.cursor(name="named") as cursor:
        cursor.itersize = 100
        cursor.execute("select n from generate_series(1, 1000) n")
        assert sum(1 for _ in cursor) == 1000
    cancelled = threading.Event()

    def cancel():
        """Again and again: on a busy machine the first may come before its query."""
        while not cancelled.wait(0.3):
            db.cancel()
    canceller = threading.Thread(target=cancel)
    canceller.start()
    try:
        db.execute("select pg_sleep(600)")
        raise AssertionError("not cancelled")
    except errors.QueryCanceled:
        pass
    cancelled.set()
    canceller.join()
    assert db.execute("select 1").fetchone()[0] == 1

with connect(autocommit=False) as db:
    db.execute("insert into matrix_psycopg values (2, 'lost')")
    db.rollback()
    assert db.execute("select count(*) from matrix_psycopg where k = 2").fetchone()[0] == 0

failures = []


def client(n):
    try:
        with connect() as own:
            for i in range(40):
                assert own.execute("select %s::int, %s::text", [n, f"{n}-{i}"]).fetchone() == (n, f"{n}-{i}")
    except Exception as error:  # reported below: a thread's exception would be lost
        failures.append(error)


threads = [threading.Thread(target=client, args=[n]) for n in range(20)]
[t.start() for t in threads]
[t.join() for t in threads]
assert not failures, failures[0]
print("passed")
