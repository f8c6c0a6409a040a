"""What a hostile reader of the MySQL plane found: texts that are not seen whole, catalogs that change under a write,
origins that change under a session, defaults that are learnt too late."""

import struct
import threading

import pytest
from pymysql.constants import CLIENT

from support.mariadb import MariaDB
from support.mysql_client import client, rows
from support.mysql_raw import Raw
from support.ports import PATIENCE, wait_for
from support.proxy import Proxy

PAD = " " * (17 << 20)


@pytest.fixture(scope="module")
def db():
    with MariaDB() as db:
        db.sql("create table t (id int primary key, n int); create table u (n int); create table log (n int);"
               "insert into t values (1, 1), (2, 1); insert into u values (1); insert into log values (0)")
        yield db


def proxy(db, **local):
    limit = local.pop("limit", 6)
    return Proxy(db, caching={"disabled": False}, origin_connection_limit=limit, local={"invalidation": "writes"} | local)


@pytest.fixture(scope="module")
def shared(db):
    with proxy(db) as p:
        yield p


def hits(p, run):
    before = p.stats()["cache"]["hit"]
    run()
    return p.stats()["cache"]["hit"] - before


def wait_cached(p, c, sql):
    wait_for(lambda: hits(p, lambda: rows(c, sql)) == 1, 20 * PATIENCE)


def send(raw, payload):
    """As many packets as it takes."""
    sequence, out = 0, b""
    while True:
        part, payload = payload[:0xFFFFFF], payload[0xFFFFFF:]
        out += Raw.framed(part, sequence)
        sequence += 1
        if len(part) < 0xFFFFFF:
            raw.socket.sendall(out)
            return sequence


# --- texts of over 16 MB ----------------------------------------------------------------------------

def test_a_text_that_is_not_seen_whole_may_write_and_leave_anything(db, shared):
    with client(shared) as reader, client(db) as direct:
        wait_cached(shared, reader, "select n from t")
        with client(shared, client_flag=CLIENT.MULTI_STATEMENTS) as writer, writer.cursor() as cursor:
            cursor.execute("update u set n = 2" + PAD + "; update t set n = 99; set time_zone = '+05:00'")
            while cursor.nextset():
                pass
        assert rows(reader, "select n from t") == rows(direct, "select n from t") == [(99,), (99,)]
        for _ in range(4):
            with client(shared) as other:
                assert rows(other, "select @@time_zone") == [("SYSTEM",)]


def test_a_prepare_of_over_16_mb_is_refused_and_the_session_goes_on(shared):
    with Raw(shared) as raw:
        packets = send(raw, b"\x16update t set n = n + 1" + PAD.encode() + b"where id = 1")
        number, payload = raw.packet()
        assert (number, payload[:3]) == (packets, b"\xff" + struct.pack("<H", 1153))
        assert raw.ask("select 1")[-2][1] == b"\x011"


def test_an_execution_that_is_refused_for_its_size_leaves_no_write_open(shared):
    with Raw(shared) as raw, client(shared) as reader:
        number = raw.prepare("update u set n = ?")
        head = b"\x17" + struct.pack("<IBI", number, 0, 1) + b"\0"
        send(raw, head + b"\1\xfd\0" + b"\1" + b"5")
        assert raw.packet()[1][0] == 0
        packets = send(raw, head + b"\0" + b"\xfe" + struct.pack("<Q", 17 << 20) + b"0" * (17 << 20))
        sequence, payload = raw.packet()
        assert (sequence, payload[:3]) == (packets, b"\xff" + struct.pack("<H", 1153))
        wait_cached(shared, reader, "select n from u")


# --- what is learnt too late ------------------------------------------------------------------------

def test_a_write_whose_trigger_came_behind_its_plan_ends_what_the_trigger_writes(db, shared):
    read = "select n from log"
    with client(shared) as reader, client(shared) as definer, client(shared) as writer, client(db) as direct, \
            client(db, autocommit=False) as holder:
        wait_cached(shared, reader, read)
        rows(holder, "select * from t")  # its metadata lock holds up the definition, and that the write
        definition = threading.Thread(target=rows, args=(
            definer, "create trigger late after insert on t for each row update log set n = n + 1"))
        definition.start()
        wait_for(lambda: "metadata lock" in str(rows(direct, "show processlist")), 20 * PATIENCE)
        rows(writer, "begin")
        write = threading.Thread(target=rows, args=(writer, "insert into t values (3, 1)"))
        write.start()
        wait_for(lambda: str(rows(direct, "show processlist")).count("metadata lock") == 2, 20 * PATIENCE)
        holder.rollback()
        definition.join()
        write.join()
        wait_cached(shared, reader, read)
        rows(writer, "commit")
        assert rows(reader, read) == rows(direct, read) == [(1,)]
        rows(definer, "drop trigger late")


def test_a_definition_while_caching_is_disabled_is_known_when_it_is_enabled(db):
    read = "select n from log"
    with proxy(db) as p, client(p) as one, client(p) as reader, client(db) as direct:
        wait_cached(p, reader, read)
        assert p.reload(caching={"disabled": True})[0] == 200
        wait_for(lambda: hits(p, lambda: rows(reader, read)) == 0, 20 * PATIENCE)
        rows(one, "create trigger late after update on u for each row update log set n = n + 1")
        assert p.reload(caching={"disabled": False})[0] == 200
        wait_cached(p, reader, read)
        rows(one, "update u set n = n + 1")
        assert rows(reader, read) == rows(direct, read)
        rows(one, "drop trigger late")


def test_a_default_of_sql_mode_that_the_catalog_does_not_know_yet_keeps_nothing(db):
    with proxy(db) as p, client(db) as direct:
        p.wait_known()
        db.sql("set global sql_mode = 'ANSI_QUOTES'")
        try:
            with client(p) as reader, client(p) as writer:
                for text in ('select n from "t" where id = 1', 'select "n" from t where id = 1'):
                    rows(reader, text)
                    rows(reader, text)
                    rows(writer, 'update "t" set n = n + 1')
                    assert rows(reader, text) == rows(direct, "select n from t where id = 1")
        finally:
            db.sql("set global sql_mode = default")


def test_another_origin_is_asked_at_once_and_what_the_old_one_says_is_nobody_elses(db):
    with MariaDB() as other:
        other.sql("create table t (id int primary key, n int); insert into t values (1, 1000);"
                  "create table u (n int); create table log (n int)")
        with proxy(db) as p, client(p) as lingering, client(p) as reader:
            wait_cached(p, reader, "select n from t where id = 1")
            rows(lingering, "insert into u values (1)")  # its connection is kept, in case
            assert p.reload(origin={"port": other.port})[0] == 200
            for c in (lingering, reader):
                assert rows(c, "select n from t where id = 1") == [(1000,)]
            rows(lingering, "insert into u values (7)")
            with client(other) as direct:
                assert rows(direct, "select n from u") == [(7,)]
            wait_cached(p, reader, "select n from t where id = 1")


# --- prepared statements ----------------------------------------------------------------------------

@pytest.mark.parametrize("room", [0, 1])
def test_statements_beyond_the_room_for_them_are_executed_and_keep_long_data(db, room):
    with proxy(db, prepared_statements=room, limit=2) as p, Raw(p) as raw:
        one = raw.prepare("select ? + 1")
        two = raw.prepare("select length(?)")
        send(raw, b"\x18" + struct.pack("<IH", two, 0) + b"hello")
        assert raw.execute(one, 1)[-1][1][0] == 0xFE
        send(raw, b"\x17" + struct.pack("<IBI", two, 0, 1) + b"\0\1\xfc\0")
        assert raw.result()[-2][1][2:6] == struct.pack("<i", 5)


def test_change_user_takes_numbers_of_collations_as_they_are(shared):
    with Raw(shared) as raw:
        login = shared.login()
        raw.socket.sendall(raw.framed(b"\x11" + login["user"].encode() + b"\0\0" + login["database"].encode() + b"\0"
                                      + struct.pack("<H", 2305) + b"mysql_native_password\0"))
        sequence, payload = raw.packet()
        scramble = payload[payload.index(b"\0", 1) + 1:][:20]
        raw.socket.sendall(raw.framed(raw.native(login["password"].encode(), scramble), sequence + 1))
        assert raw.packet()[1][0] == 0
        assert b"utf8mb4" in raw.ask("select @@character_set_client")[-2][1]


# --- writes that reach further than they say ---------------------------------------------------------

REACHING = """
create table counted (n int); insert into counted values (0);
create table base (id int primary key, n int); insert into base values (1, 1), (2, 2), (3, 3);
create table named (id int primary key, n int); insert into named values (1, 1);
create table parent (id int primary key) engine = innodb; insert into parent values (1), (2);
create table child (p int, foreign key (p) references parent(id) on delete cascade) engine = innodb; insert into child values (1), (2);
delimiter //
create function bump() returns int deterministic begin update counted set n = n + 1; return 1; end//
delimiter ;
create view writes_aside as select * from base where bump() = 1;
create view over_that as select * from writes_aside;
create view checked as select * from base where n < 1000 and bump() = 1 with check option;
create database elsewhere; create table elsewhere.named (id int primary key, n int); insert into elsewhere.named values (1, 1);
create view elsewhere.hiding as select reaching.bump();
"""


@pytest.fixture(scope="module")
def reaching(db):
    db.sql("create database reaching")
    db.sql(REACHING, "reaching")
    with Proxy(db, database="reaching", caching={"disabled": False}, local={"invalidation": "writes"}) as p:
        yield p


@pytest.mark.parametrize("read, write", [
    # A view's conditions run for each row that is written through it.
    ("select n from counted", "update writes_aside set n = n + 1 where id = 1"),
    ("select n from counted", "update over_that set n = n + 1 where id = 1"),
    ("select n from counted", "insert into checked values (10, 5)"),
    ("select n from counted", "replace into checked values (11, 5)"),
    # An alias that is another table's name.
    ("select n from base", "delete from named using (base as named) where id = 2"),
    ("select n from base", "delete from named using (base as named join counted) where named.id = 3"),
    # What the first statement adds has no children; what the second deletes has.
    ("select p from child", "insert into parent values (40); delete from parent where id = 1"),
    # The name is another database's by then.
    ("select n from elsewhere.named", "use elsewhere; update named set n = n + 1"),
    ("select n from elsewhere.named", "use elsewhere; update named set n = n + 1; use reaching"),
    ("select n from counted", "use elsewhere; select * from hiding"),
])
def test_a_write_ends_what_it_reaches_by_a_view_an_alias_or_a_key(db, reaching, read, write):
    with client(reaching) as reader, client(reaching, client_flag=CLIENT.MULTI_STATEMENTS) as writer, \
            client(db) as direct:
        rows(direct, "use reaching")
        wait_cached(reaching, reader, read)
        before = rows(direct, read)
        rows(writer, write)
        assert rows(direct, read) != before
        assert rows(reader, read) == rows(direct, read)


@pytest.mark.parametrize("verb", ["insert", "replace"])
def test_rows_of_insert_delayed_are_waited_for(db, shared, verb):
    with client(shared) as reader, client(shared) as writer, client(db) as locker:
        rows(writer, "create or replace table later (n int) engine = myisam")
        wait_cached(shared, reader, "select n from later")
        rows(locker, "lock tables later read")
        rows(writer, f"{verb} delayed into later values (1)")   # answered at once, written when the lock goes
        rows(locker, "unlock tables")
        wait_for(lambda: db.sql("select n from later") == "1\n", 20 * PATIENCE)
        assert rows(reader, "select n from later") == [(1,)]
        wait_cached(shared, reader, "select n from later")
