"""MySQL commands of which every packet matters: files in full packets, bulk executions, what is asked behind an error, kills of
who waits, refused changes of user."""

import contextlib
import struct
import threading
import time

import pymysql
import pytest

from support import mywire
from support.chaos import ChaosRelay
from support.mariadb import MariaDB
from support.mysql_client import client, rows
from support.mysql_moving import Others
from support.mywire import Wire
from support.ports import wait_for
from support.proxy import Proxy


@pytest.fixture(scope="module")
def db():
    with MariaDB() as db:
        db.sql("create table t (id int primary key); insert into t values (1)")
        yield db


@pytest.fixture(scope="module")
def proxy(db):
    with Proxy(db, caching={"disabled": True}, origin_connection_limit=1) as p:
        yield p


def session(where, capabilities=0, **more):
    return Wire(where.port, where.user, where.password, "shop", mywire.USUAL | capabilities, **more)


def prepare(sql):
    return bytes([mywire.PREPARE]) + sql.encode()


@pytest.mark.parametrize("more", [0, 1, 1000])
def test_a_file_in_full_packets_ends_where_it_ends(db, proxy, more):
    """A packet of 16 MB goes on in the next one, be that empty: it is not the empty one behind the file."""
    db.sql("create or replace table loaded (x int)")
    file = b"000000\n" + b"0000001\n" * (mywire.MAX // 8 + more)  # the first packet's end is a line's
    pieces = [file[:mywire.MAX], file[mywire.MAX:], b"7777777\n"]
    heard = []
    for where in (db, proxy):
        with session(where, mywire.LOCAL_FILES) as c:
            c.ask("truncate table loaded")
            payload = mywire.query("load data local infile 'x' into table loaded")
            c.send(payload), c.expect(payload)
            assert c.packet()[:1] == b"\xfb"
            for piece in [*pieces, b""]:
                c.socket.sendall(len(piece).to_bytes(3, "little") + bytes([c.sequence]) + piece)
                c.sequence += 1
            heard.append([c.packet()[:1], c.values("select count(*), sum(x) from loaded"), c.values("select 1")])
    assert heard[1] == heard[0]


@pytest.mark.parametrize("sent", [0, 1, 2, 3])
def test_an_origin_that_is_lost_in_the_midst_of_a_file_is_told_of_behind_it(db, sent):
    """The number of an answer that comes earlier would not be the one that the client waits for."""
    db.sql("create or replace table loaded (x int)")
    pieces = [b"1\n" * 100, b"2\n" * 100, b""]
    with ChaosRelay(db.port) as relay, Proxy(db, port=relay.port, caching={"disabled": True}, origin_connection_limit=1) as p:
        with session(p, mywire.LOCAL_FILES) as c:
            payload = mywire.query("load data local infile 'x' into table loaded")
            c.send(payload), c.expect(payload)
            assert c.packet()[:1] == b"\xfb"
            relay.stalled = True
            for piece in pieces[:sent]:
                c.write(piece)
            relay.reset_all()
            wait_for(lambda: p.stats()["origin_connections"] == 0, 10, "the loss is noticed")
            for piece in pieces[sent:]:
                c.write(piece)
            assert c.error(c.packet())[1] == 2013
        relay.stalled = False
        with session(p) as c:
            assert c.values("select count(*) from loaded") == [[b"0"]]


def test_nothing_runs_of_several_statements_with_a_file_that_the_client_does_not_allow(db, proxy):
    db.sql("create or replace table loaded (x int)")
    with session(proxy, mywire.MULTI_STATEMENTS) as c:
        assert c.ask("insert into loaded values (1); load data local infile 'x' into table loaded; insert into loaded values (2)")[
            0][1] in (1148, 4166)
        assert c.values("select count(*) from loaded") == [[b"0"]]


def test_a_bulk_execution_has_its_types_on_any_connection(db):
    """MariaDB's connector sends them with the first one only."""
    bulk_operations, send_types = 1 << 2, 128

    def bulk(statement, numbers, types):
        return (bytes([mywire.BULK]) + struct.pack("<IH", statement, send_types if types else 0) + (b"\x08\0\xfd\0" if types else b"")
                + b"".join(b"\0" + struct.pack("<q", n) + b"\0" + mywire.lenenc_string(b"v%d" % n) for n in numbers))

    def conversation(where, move):
        db.sql("create or replace table bulky (n bigint, v varchar(10))")
        with session(where, extended=bulk_operations) as c:
            c.send(prepare("insert into bulky values (?, ?)"))
            heard = [c.reply("prepare")]
            for numbers, types in (([1, 2], True), ([-3], False), ([2 ** 40, 5, 6], False)):
                move()
                payload = bulk(c.statements[0], numbers, types)
                c.send(payload)
                heard.append(c.reply("query", sent=payload))
            move()
            payload = mywire.execute(c.statements[0], [struct.pack("<q", 7), mywire.lenenc_string(b"one")])
            c.send(payload)
            heard.append(c.reply("query", sent=payload))
        return [[event[:2] for event in events] for events in heard], db.sql("select * from bulky order by n")

    with Proxy(db, caching={"disabled": True}, origin_connection_limit=2) as p, contextlib.ExitStack() as stack:
        others = Others(p, stack)
        assert conversation(p, others.move) == conversation(db, lambda: None)


def test_who_waits_for_a_connection_is_interrupted_by_a_kill(db):
    with Proxy(db, caching={"disabled": True}, origin_connection_limit=1) as p, client(p) as holder, client(p) as waits:
        rows(holder, "begin")
        heard = []

        def ask():
            with pytest.raises(pymysql.err.MySQLError) as caught:
                rows(waits, "select 1")
            heard.append(caught.value.args[0])
        thread = threading.Thread(target=ask)
        thread.start()
        wait_for(lambda: p.stats()["waiting"] == 1, 10, "it waits")
        rows(holder, f"kill query {waits.thread_id()}")
        thread.join(10)
        assert heard == [1317]
        holder.rollback()
        assert rows(waits, "select 1") == [(1,)]


@pytest.mark.parametrize("ask", ["ping", "reset", "init_db"])
def test_a_transaction_that_an_error_has_ended_is_not_told_to_be_open(db, proxy, ask):
    """TRUNCATE commits before it fails; an ERR carries no flags."""
    heard = []
    for where in (db, proxy):
        with session(where) as c, session(where) as other:
            c.send(prepare("select 1"))
            c.reply("prepare")
            for sql in ("begin", "select * from t", "truncate no_such_table"):
                c.ask(sql)
            payload = {"ping": bytes([mywire.PING]), "init_db": bytes([mywire.INIT_DB]) + b"shop",
                       "reset": bytes([mywire.RESET]) + struct.pack("<I", c.statements[0])}[ask]
            c.send(payload)
            heard.append([c.reply("query", sent=payload)[0][3] & 1, other.values("select 1")])
    assert heard[1] == heard[0]


def test_a_session_has_as_many_prepared_statements_as_a_server_would_let_it(proxy):
    with session(proxy) as c:
        for _ in range(16_382 // 62 + 1):
            c.send(*[prepare("do 1")] * 62)
            for _ in range(62):
                last = c.reply("prepare")
        assert last[0][:2] == ("err", 1461)
        assert c.values("select 1") == [[b"1"]]


@pytest.mark.parametrize("change, code", [({"password": "wrong"}, 1045), ({"user": "nobody"}, 1045), ({"database": "nowhere"}, 1049),
                                          ({"charset": 35}, 1231), ({"charset": 54}, 1231), ({"charset": 183}, 1231)])
def test_a_session_outlives_a_refused_change_of_its_user(db, proxy, change, code):
    heard = []
    for where in (db, proxy):
        with session(where) as c, session(where) as other:
            for sql in ("set time_zone = '+05:00', @x = 5", "begin", "insert into t values (7)"):
                c.ask(sql)
            with pytest.raises(mywire.Refused) as refused:
                c.change_user(**change)
            told = refused.value.args[0]
            assert told[1] == code
            heard.append([told if code == 1231 else told[:3], c.values("select @@time_zone, @x, @@character_set_client, database()"),
                          c.values("select count(*) from t"), other.values("select @@time_zone, @@character_set_client")])
    assert heard[1] == heard[0]


def test_passwords_are_not_tried_without_end_in_one_session(proxy):
    with session(proxy) as c:
        for _ in range(3):
            with pytest.raises(mywire.Refused):
                c.change_user(password="wrong")
        with pytest.raises((EOFError, ConnectionError)):
            c.change_user(password=proxy.password)


@pytest.mark.parametrize("by", ["text", "command"])
def test_who_kills_itself_is_told_so_in_the_answer(db, proxy, by):
    told = []
    for where in (db, proxy):
        with session(where) as c:
            kill = mywire.query(f"kill {c.connection_id}") if by == "text" else b"\x0c" + struct.pack("<I", c.connection_id)
            c.send(kill), c.expect(kill)
            told.append(c.packet()[:3])
            with pytest.raises((EOFError, ConnectionError)):
                c.packet()
    assert told[1] == told[0]


@pytest.mark.parametrize("charset", [35, 54, 56, 60, 101, 128, 160])
def test_no_client_has_a_character_set_of_wide_letters(db, proxy, charset):
    told = []
    for where in (db, proxy):
        with pytest.raises(mywire.Refused) as refused:
            session(where, charset=charset)
        told.append(refused.value.args)
    assert told[1] == told[0]


@pytest.mark.parametrize("sent", [0, 3, 9])
@pytest.mark.parametrize("leave", ["close", "shutdown"])
def test_who_leaves_before_its_file_is_asked_for_keeps_no_connection(proxy, sent, leave):
    for _ in range(5):
        c = session(proxy, mywire.LOCAL_FILES)
        command = c.framed(mywire.query("load data local infile 'x' into table t"))
        c.socket.sendall(command + c.framed(b"99999\n", 2)[:sent])
        c.close() if leave == "close" else c.socket.shutdown(1)
        begun = time.monotonic()
        with session(proxy) as other:
            assert other.values("select 1") == [[b"1"]]
        assert time.monotonic() - begun < 8  # a half-closed client is waited for, for 10 s
        c.close()

