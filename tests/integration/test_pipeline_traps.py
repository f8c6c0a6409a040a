"""The pipelining traps of pooling proxies, one test each (docs/traps.md lists them).

Each conversation is also held with Postgres itself; the answers must be the same message by message.
"""

import os
import signal
import socket
import struct
import threading

import pytest

from support.differential.sides import normalise
from support.pgwire import (COPY_DONE, FLUSH, SYNC, Closed, Connection, bind, close, copy_data, copy_fail, data_row, describe,
                            error_fields, execute, message, parse, query)
from support.ports import PATIENCE, wait_for
from support.postgres import Postgres
from support.proxy import Proxy

CACHES = {"without a cache": ({"disabled": True}, {}), "with one": ({"disabled": False}, {"invalidation": "writes"})}


@pytest.fixture(scope="module")
def pg():
    with Postgres() as pg:
        pg.psql("create table t (k int primary key, v text); insert into t select n, 'v' || n from generate_series(1, 10) n;"
                "create table shapes (a int); insert into shapes values (1); create table log (n int primary key)")
        yield pg


@pytest.fixture(scope="module", params=CACHES)
def proxy(pg, request):
    caching, local = CACHES[request.param]
    with Proxy(pg, caching=caching, origin_connection_limit=1, local=local | {"prepared_statements": 3}) as p:
        yield p


def select(value, name=""):
    return parse(name, f"select {value}") + bind("", name) + execute()


def talk(c, *steps):
    """Each step: what is sent in one write, and how many ReadyForQuery end its answer."""
    heard = []
    for sent, ends in steps:
        c.send(sent)
        for _ in range(ends):
            heard += [normalise(kind, body) for kind, body in c.until_ready()]
    return heard


def alike(pg, proxy, *steps, undo=""):
    with Connection.open(pg.url()) as direct, Connection.open(proxy.url()) as proxied:
        expected = talk(direct, *steps)
        if undo:
            pg.psql(undo)
        got = talk(proxied, *steps)
        assert got == expected
        assert proxied.value("select 'alive'") == "alive"
    return got


def codes(heard):
    return [dict(fields)["C"] for kind, fields in heard if kind == "E"]


def rows(messages):
    return [data_row(body)[0].decode() for kind, body in messages if kind == "D"]


def test_01_several_syncs_in_one_write_keep_the_connection_up_to_the_last(pg, proxy):
    alike(pg, proxy, (select(1) + SYNC + select("pg_sleep(0.05)::text") + SYNC + bind("", "") + execute() + SYNC, 3))
    with Connection.open(proxy.url()) as a, Connection.open(proxy.url()) as b:
        a.send(b"".join(select(f"'a{i}'") + SYNC for i in range(200)))
        b.send(b"".join(select(f"'b{i}'") + SYNC for i in range(200)))
        for name, c in (("a", a), ("b", b)):
            assert [rows(c.until_ready()) for _ in range(200)] == [[f"{name}{i}"] for i in range(200)]


def test_02_a_parse_of_the_proxys_own_behind_an_error_did_not_happen(pg, proxy):
    with Connection.open(proxy.url()) as c:
        talk(c, (parse("s", "select 'mine'") + SYNC, 1))
        # Another connection to the origin, which lacks the statement.
        pg.psql("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'app' and query !~ 'pg_catalog'")
        wait_for(lambda: proxy.stats()["idle"] == 0, 10, "the connection's death is noticed")
        c.send(parse("", "selec") + bind("", "s") + execute() + SYNC)
        assert [kind for kind, _ in c.until_ready()] == ["E", "Z"]
        c.send(bind("", "s") + execute() + SYNC)
        assert rows(c.until_ready()) == ["mine"]


def test_03_an_answer_made_here_stands_in_its_place_and_falls_with_its_batch(pg, proxy):
    known = "select 'known'"
    with Connection.open(proxy.url()) as other:
        talk(other, (parse("x", known) + SYNC, 1))
    alike(pg, proxy,
          (select(1) + parse("s", known) + select(2) + close("S", "s") + select(3) + SYNC, 1),
          (parse("", "selec") + parse("s", known) + SYNC, 1), (bind("", "s") + execute() + SYNC, 1),
          (parse("s", known) + SYNC, 1), (parse("", "selec") + close("S", "s") + SYNC, 1),
          (bind("", "s") + execute() + SYNC, 1))


def test_04_a_statement_that_is_crowded_out_and_used_again_in_the_same_batch(pg, proxy):
    names = [f"s{i}" for i in range(6)]
    everything = b"".join(parse(n, f"select '{n}'") for n in names) + b"".join(bind("", n) + execute() for n in names + names)
    heard = alike(pg, proxy, (everything + SYNC, 1), (everything.replace(b"select", b"selecT") and
                                                     b"".join(bind("", n) + execute() for n in names[::-1]) + SYNC, 1))
    assert len([kind for kind, _ in heard if kind == "D"]) == 18 and not codes(heard)


def test_05_the_unnamed_statement_outlives_its_sync_and_the_unnamed_portal_its_batch_in_a_transaction(pg, proxy):
    with Connection.open(proxy.url()) as c, Connection.open(proxy.url()) as other:
        talk(c, (parse("", "select 'mine'") + SYNC, 1))
        assert other.value("select 'theirs'") == "theirs"
        talk(other, (parse("", "select 'theirs'") + SYNC, 1))
        c.send(bind("", "") + execute() + SYNC)
        assert rows(c.until_ready()) == ["mine"]
    alike(pg, proxy, (query("begin"), 1), (parse("", "select 1") + bind("", "") + SYNC, 1), (execute() + SYNC, 1), (query("commit"), 1))
    assert codes(alike(pg, proxy, (parse("", "select 1") + bind("", "") + SYNC, 1), (execute() + SYNC, 1))) == ["34000"]


def test_06_a_flush_keeps_the_connection_until_sync(pg, proxy):
    with Connection.open(proxy.url()) as c, Connection.open(proxy.url()) as other:
        c.send(parse("", "insert into log values (600) returning n") + bind("", "") + execute() + FLUSH)
        c.until("C")
        other.send(query("select count(*) from log where n = 600"))
        assert other.silent(0.3)
        c.send(parse("", "selec") + SYNC)  # takes back what was flushed
        c.until_ready()
        assert rows(other.until_ready()) == ["0"]


def test_07_describe_of_an_unknown_name_is_an_error_and_no_more(pg, proxy):
    assert codes(alike(pg, proxy, (describe("S", "nope") + SYNC, 1), (describe("P", "nope") + SYNC, 1),
                       (bind("", "nope") + SYNC, 1), (close("S", "nope") + SYNC, 1))) == ["26000", "34000", "26000"]


def test_08_rows_never_come_in_another_shape_than_the_client_was_told(pg, proxy):
    sql, again = "select * from shapes", bind("", "s") + execute() + SYNC
    for wrap in (False, True):
        with Connection.open(proxy.url()) as c:
            c.query("drop table shapes; create table shapes (a int); insert into shapes values (1)")
            talk(c, (parse("s", sql) + describe("S", "s") + SYNC, 1), (again, 1))
            with Connection.open(proxy.url()) as other:
                other.query("alter table shapes add b text")
            heard = talk(c, *([(query("begin"), 1)] if wrap else []), (again, 1), *([(query("rollback"), 1)] if wrap else []))
            assert codes(heard) == ["0A000"]
            heard = talk(c, (close("S", "s") + parse("s", sql) + describe("S", "s") + SYNC, 1), (again, 1))
            assert not codes(heard)


def test_09_only_ready_for_query_tells_whether_a_transaction_is_open(pg, proxy):
    alike(pg, proxy, (query("select 1; begin; select 2"), 1), (query("select 3; commit; select 4"), 1),
          (query("begin; commit; begin"), 1), (query("selec"), 1), (query("rollback; select 5"), 1))
    assert codes(alike(pg, proxy, (parse("", "select 1") + SYNC, 1), (query("select 2"), 1),
                       (bind("", "") + execute() + SYNC, 1))) == ["26000"]
    with Connection.open(proxy.url()) as c, Connection.open(proxy.url()) as other:
        c.query("select 1; begin; insert into log values (900)")
        other.send(query("select count(*) from log where n = 900"))
        assert other.silent(0.3)
        c.query("rollback; select 1")
        assert rows(other.until_ready()) == ["0"]


def test_10_a_copy_swallows_syncs_and_what_follows_its_failure_is_skipped(pg, proxy):
    start = parse("", "copy log from stdin") + bind("", "") + execute()
    alike(pg, proxy, (start + SYNC + SYNC + copy_data(b"1000\n") + COPY_DONE + SYNC, 1), (query("select n from log where n = 1000"), 1),
          undo="delete from log where n = 1000")
    alike(pg, proxy, (start + FLUSH + copy_data(b"1001\n") + copy_fail("no") + copy_data(b"1002\n") + COPY_DONE + SYNC, 1))
    alike(pg, proxy, (start + FLUSH + copy_data(b"x\n") + copy_data(b"1003\n") + COPY_DONE + SYNC, 1))
    alike(pg, proxy, (query("copy log from stdin") + copy_data(b"1004\n") + copy_fail("no"), 1))
    alike(pg, proxy, (query("copy log from stdin") + copy_data(b"y\n") + COPY_DONE + query("select 1"), 2))
    assert pg.psql("select count(*) from log where n between 1001 and 1004").strip() == "0"
    pg.psql("delete from log where n = 1000")


def to_the_end(url, sent):
    heard = []
    with Connection.open(url) as c:
        c.send(sent)
        try:
            while True:
                heard.append(normalise(*c.receive()))
        except Closed:
            return heard


@pytest.mark.parametrize("behind", ["select 1", "deallocate all", "begin", "discard all"])
def test_10_what_is_no_data_breaks_a_copy_and_its_connection_as_in_postgres(pg, proxy, behind):
    extended = parse("", "copy log from stdin") + bind("", "") + execute() + SYNC
    for start in (query("copy log from stdin"), extended):
        direct = to_the_end(pg.url(), start + query(behind))
        assert to_the_end(proxy.url(), start + query(behind)) == direct and len(direct) > 1
    alike(pg, proxy, (query("copy nowhere from stdin") + query(behind), 2), (query("rollback; select 2"), 1))


def test_10_who_leaves_behind_a_broken_copy_leaves_nothing(pg, proxy):
    for _ in range(3):
        c = Connection.open(proxy.url())
        c.send(query("copy log from stdin") + query("deallocate all") + copy_data(b"1\n") + query("begin"))
        c.socket.close()
    wait_for(lambda: proxy.stats()["clients"] == 0, what="they are gone")
    with Connection.open(proxy.url()) as c:
        assert c.value("select 'free'") == "free"


COPIES = {"simple": query("copy log from stdin"), "extended": parse("", "copy log from stdin") + bind("", "") + execute() + FLUSH}
BAD, GOOD = copy_data(b"bad\n"), copy_data(b"1200\n")


# What is sent behind, and how many ReadyForQuery end it for each kind of COPY.
BEHIND = [
    (BAD + SYNC, {"simple": 2, "extended": 1}),
    (BAD + SYNC + SYNC + GOOD + COPY_DONE + SYNC + SYNC, {"simple": 5, "extended": 4}),
    (GOOD + SYNC + BAD + COPY_DONE + SYNC, {"simple": 2, "extended": 1}),
    (GOOD + SYNC + BAD + SYNC + copy_fail("no") + SYNC, {"simple": 3, "extended": 2}),
    (BAD + query("select 'behind it'"), {"simple": 2}),
    (BAD + query("select 'behind it'") + SYNC, {"extended": 1}),
    (BAD + parse("", "select 'parsed'") + bind("", "") + execute() + SYNC, {"simple": 2, "extended": 1}),
    (BAD + SYNC + parse("", "select 'parsed'") + bind("", "") + execute() + SYNC, {"simple": 3, "extended": 2}),
    (BAD + SYNC + query("copy log from stdin") + BAD + SYNC, {"simple": 4, "extended": 3}),
]


@pytest.mark.parametrize("copy, behind, end", [(copy, behind, end) for behind, ends in BEHIND for copy, end in ends.items()])
@pytest.mark.parametrize("seen", [True, False])
def test_10_what_is_sent_behind_data_that_the_origin_refuses_is_answered_to_whom_it_belongs(pg, proxy, copy, behind, end, seen):
    heard = []
    for url in (pg.url(), proxy.url()):
        with Connection.open(url, timeout=10 * PATIENCE) as c, Connection.open(proxy.url()) as other:
            c.send(COPIES[copy] + (b"" if seen else behind))
            answer = c.until("G")
            other.send(query("select 'other'"))
            c.send(behind if seen else b"")
            for _ in range(end):
                answer += c.until_ready()
            assert c.silent(0.05)
            heard.append([normalise(*message) for message in answer])
            assert rows(other.until_ready()) == ["other"]
            assert c.value("select 'well'") == "well"
    assert heard[0] == heard[1]


def test_11_an_error_takes_back_its_own_segment_of_a_pipeline(pg, proxy):
    insert = lambda n: parse("", f"insert into log values ({n})") + bind("", "") + execute()
    alike(pg, proxy, (insert(1100) + insert(1101) + SYNC + insert(1102) + insert(1100) + SYNC + insert(1103) + SYNC, 3),
          undo="delete from log where n between 1100 and 1199")
    kept = pg.psql("delete from log where n between 1100 and 1199 returning n").split()
    assert sorted(set(kept)) == ["1100", "1101", "1103"]


class Meddler(threading.Thread):
    """A relay in front of the origin that can say something of its own to the proxy."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.target, self.listener, self.sides = port, socket.create_server(("127.0.0.1", 0)), []
        self.port = self.listener.getsockname()[1]
        self.start()

    def run(self):
        while True:
            try:
                near = self.listener.accept()[0]
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self.target))
            self.sides.append(near)
            for a, b in ((near, far), (far, near)):
                threading.Thread(target=self.pump, args=(a, b), daemon=True).start()

    def pump(self, a, b):
        try:
            while data := a.recv(65536):
                b.sendall(data)
        except OSError:
            pass
        for side in (a, b):
            if side in self.sides:
                self.sides.remove(side)
            try:
                side.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def say(self, bytes_):
        for side in list(self.sides):
            try:
                side.sendall(bytes_)
            except OSError:
                pass


def test_12_what_a_server_says_unasked_reaches_its_present_owner_only(pg):
    meddler = Meddler(pg.port)
    notification = message(b"A", struct.pack("!I", 4711) + b"news\0payload\0")
    status = message(b"S", b"TimeZone\0Mars/Phobos\0")
    with Proxy(pg, port=meddler.port, origin_connection_limit=1) as p, Connection.open(p.url()) as c:
        wait_for(lambda: len(meddler.sides) == 1, 20, "the catalogs have been read")
        before = c.value("select pg_backend_pid()")
        meddler.say(message(b"N", b"SNOTICE\0VNOTICE\0C00000\0Mhello\0\0"))
        assert c.value("select pg_backend_pid()") == before  # a notice at rest is nobody's
        meddler.say(status)
        c.send(query("select 1"))
        heard = c.until_ready()
        assert ("S", b"TimeZone\0Mars/Phobos\0") in heard or c.parameters["TimeZone"] != "Mars/Phobos"
        p.wait_quiet(1)
        meddler.say(notification)
        wait_for(lambda: p.stats()["idle"] == 0, 10, "the connection on which somebody listens is dropped")
        c.send(query("select pg_backend_pid()"))
        heard = c.until_ready()
        assert "A" not in [kind for kind, _ in heard] and rows(heard) != [before]
    meddler.listener.close()


def test_an_origin_that_says_much_after_what_makes_no_sense_is_heard_no_more(pg):
    meddler = Meddler(pg.port)
    with Proxy(pg, port=meddler.port, origin_connection_limit=1, local={"workers": 1}) as p:
        for _ in range(3):
            with Connection.open(p.url()) as c:
                c.query("begin")
                os.kill(p.process.pid, signal.SIGSTOP)  # so that all of it comes in one turn
                meddler.say(message(b"C", b"SELECT 1\0") * 20_000)
                os.kill(p.process.pid, signal.SIGCONT)
                with pytest.raises((Closed, ConnectionError)):
                    while True:
                        c.receive()
        with Connection.open(p.url()) as c:
            assert c.value("select 'well'") == "well"
    meddler.listener.close()


def test_13_both_sides_may_write_much_at_once(pg, proxy):
    big, count = b"x" * 1_000_000, 12
    with Connection.open(proxy.url()) as c:
        sender = threading.Thread(target=c.send, args=[b"".join(
            parse("", "select $1::text", (25,)) + bind("", "", [big]) + execute() + SYNC for _ in range(count))])
        sender.start()
        for _ in range(count):
            assert [len(data_row(body)[0]) for kind, body in c.until_ready() if kind == "D"] == [len(big)]
        sender.join()
    with Connection.open(proxy.url()) as c:
        c.send(parse("", "select $1::text", (25,)) + bind("", "", [big * 20]) + execute() + SYNC)
        assert [len(data_row(body)[0]) for kind, body in c.until_ready() if kind == "D"] == [20 * len(big)]


def test_14_a_function_call_is_one_answer(pg, proxy):
    arguments = struct.pack("!HHH", 1, 1, 2) + struct.pack("!ii", 4, 20) + struct.pack("!ii", 4, 22) + struct.pack("!H", 1)
    call = message(b"F", struct.pack("!I", 177) + arguments)  # int4pl
    unknown = message(b"F", struct.pack("!I", 4_000_000_000) + arguments)
    heard = alike(pg, proxy, (call + query("select 1") + call, 3), (unknown + call, 2), (query("begin"), 1), (call, 1), (query("commit"), 1))
    assert len([kind for kind, _ in heard if kind == "V"]) == 4


def test_15_an_answer_from_memory_does_not_overtake(pg, proxy):
    hot = query("select v from t where k = 1")
    with Connection.open(proxy.url()) as c:
        for _ in range(3):
            c.query("select v from t where k = 1")
        c.send(query("select 'slow', pg_sleep(0.1)") + hot + select("'late'") + SYNC + hot)
        assert [rows(c.until_ready()) for _ in range(4)] == [["slow"], ["v1"], ["late"], ["v1"]]


def test_16_a_batch_with_several_executes_is_answered_whole(pg, proxy):
    hot = parse("", "select v from t where k = $1", (23,)) + bind("", "", ["1"]) + execute()
    with Connection.open(proxy.url()) as c:
        for _ in range(3):
            talk(c, (hot + SYNC, 1))
    alike(pg, proxy, (hot + bind("", "", ["2"]) + execute() + SYNC, 1), (hot + execute() + SYNC, 1),
          (hot + select(1) + SYNC, 1), (select(1) + hot + SYNC, 1), (hot + parse("", "selec") + SYNC, 1), (hot + describe("P") + SYNC, 1))
