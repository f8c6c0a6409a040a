"""BEGIN answered by the proxy and sent with the first statement behind it (docs/decisions/024-fold-begin.md)."""

import os
import socket

import pytest

from support.pgwire import SYNC, Connection, Refused, bind, close, describe, error_fields, execute, parse, query
from support.ports import wait_for
from support.postgres import Postgres
from support.proxy import Proxy

SETUP = "create table t (k int); create sequence s; create role other; grant other to app; grant select on t to other"
RECOVERY = "cannot set transaction read-write mode during recovery"


@pytest.fixture(scope="module")
def pg():
    with Postgres() as pg:
        pg.psql(SETUP, user="app")
        yield pg


@pytest.fixture(scope="module")
def standby():
    """A server in recovery, where BEGIN READ WRITE is an error."""
    with Postgres() as pg:
        pg.psql(SETUP, user="app")
        pg.stop()
        with open(os.path.join(pg.data, "standby.signal"), "w"):
            pass
        pg.start()
        yield pg


def folding(pg, **local):
    return Proxy(pg, origin_connection_limit=1, local={"fold_begin": True} | local)


@pytest.fixture(scope="module")
def proxy(pg):
    with folding(pg) as p:
        yield p


def connect(proxy, **parameters):
    return Connection.open(proxy.url(), **parameters)


def extended(sql, described=False):
    return (parse("", sql) + (describe("S") if described else b"") + bind("", "") +
            (describe("P") if described else b"") + execute() + SYNC)


def ask(c, *messages):
    """What came, and the status at its end."""
    c.send(*messages)
    answer = c.until_ready()
    return "".join(kind for kind, _ in answer[:-1]), answer[-1][1].decode(), answer


def test_who_has_only_begun_holds_no_connection_and_may_end_without_one(proxy):
    with connect(proxy) as a, connect(proxy) as b:
        before = proxy.stats()["begins_folded"]
        for begin in ("begin", "START TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY", "begin work;"):
            for end in ("commit", "rollback;", "end", "abort work"):
                assert ask(a, query(begin))[:2] == ("C", "T")
                assert b.value("select 'free'") == "free"
                assert ask(a, query(end))[:2] == ("C", "I")
        assert proxy.stats()["begins_folded"] == before + 12


@pytest.mark.parametrize("described", [False, True])
def test_the_extended_protocol_is_answered_as_postgres_answers(pg, proxy, described):
    steps = [extended("begin", described), SYNC, extended("select 1", described), extended("commit", described), SYNC,
             extended("begin", described), execute() + SYNC, extended("select 1"), query("rollback"),
             extended("begin", described), extended("rollback", described),
             extended("begin"), bind("", "") + execute() + SYNC, query("rollback")]
    with Connection.open(pg.url()) as direct, connect(proxy) as proxied:
        for step in steps:
            assert ask(direct, step)[:2] == ask(proxied, step)[:2], step


@pytest.mark.parametrize("sql", ["begin", "commit"])
def test_a_prepared_one_that_takes_values_is_not_answered_without_them(pg, proxy, sql):
    heard = []
    for url in pg.url(), proxy.url():
        with Connection.open(url) as c:
            c.send(parse("a", sql, (25,)) + SYNC)
            heard.append(c.until_ready())
            if sql == "commit":
                c.send(query("begin"))
                heard[-1] += c.until_ready()
            c.send(bind("", "a") + execute() + SYNC)
            heard[-1] += [(kind, error_fields(body)["C"] if kind == "E" else body) for kind, body in c.until_ready()]
    assert heard[0] == heard[1]


@pytest.mark.parametrize("closed", [close("S"), close("P"), b""], ids=["statement closed", "portal closed", "nothing closed"])
def test_its_portal_is_as_postgres_has_it(pg, proxy, closed):
    heard = []
    for url in pg.url(), proxy.url():
        with Connection.open(url) as c:
            c.send(parse("", "begin") + bind("", "") + execute() + SYNC)
            heard.append(c.until_ready())
            c.send(closed + execute() + SYNC)
            heard[-1] += [(kind, error_fields(body)["C"] if kind == "E" else body) for kind, body in c.until_ready()]
    assert heard[0] == heard[1]


def test_what_runs_behind_it_is_in_the_transaction_that_was_asked_for(proxy):
    with connect(proxy) as a, connect(proxy) as b:
        a.query("begin")
        a.query("insert into t values (1)")
        a.query("rollback")
        assert b.value("select count(*) from t") == "0"
        a.query("begin isolation level serializable read only")
        assert a.value("show transaction_isolation") == "serializable"
        with pytest.raises(Refused) as why:
            a.query("insert into t values (1)")
        assert why.value.code == "25006"
        assert ask(a, query("select 1"))[1] == "E"
        a.query("rollback")
        a.query("begin")
        assert ask(a, query("selec"))[:2] == ("E", "E")
        a.query("rollback")


@pytest.mark.parametrize("statement", [query("select 'alone'"), extended("select 'alone'"), query("copy t to stdout"),
                                       query("select 'alone'; select 'too'"), query("copy t from stdin")])
def test_a_begin_that_fails_takes_its_statement_with_it(standby, statement):
    with folding(standby) as proxy, connect(proxy) as a:
        for _ in range(2):
            assert ask(a, query("begin read write"))[:2] == ("C", "T")
            kinds, status, answer = ask(a, statement)
            assert (kinds, status) == ("E", "I") and error_fields(answer[0][1])["M"] == RECOVERY
            assert a.value("select 'well'") == "well"


def test_nothing_that_was_sent_behind_the_statement_runs_before_the_begin_is_known(standby):
    with folding(standby) as proxy, connect(proxy) as a:
        a.query("begin read write")
        a.send(query("select 'first'"), query("select 'second'"))
        assert [kind for kind, _ in a.until_ready()] == ["E", "Z"]
        assert [kind for kind, _ in a.until_ready()] == ["T", "D", "C", "Z"], "outside, as behind a BEGIN that fails in Postgres"


def test_who_leaves_with_a_begin_leaves_nothing(proxy):
    with connect(proxy) as b:
        for sent in (query("begin"), query("begin") + query("select 1"), extended("begin")):
            a = connect(proxy)
            a.send(sent)
            a.until_ready()
            a.socket.shutdown(socket.SHUT_RDWR)
            a.socket.close()
            assert b.value("select pg_current_xact_id_if_assigned() is null") == "t"
    wait_for(lambda: proxy.stats()["idle"] == 1, 10, "the connection is back")


def test_clean_ups_and_refusals_know_that_a_transaction_is_open(proxy):
    with connect(proxy) as a:
        a.query("begin")
        with pytest.raises(Refused) as why:
            a.query("discard all")
        assert why.value.code == "25001" and ask(a, query("rollback"))[1] == "I"
        a.query("begin")
        assert ask(a, query("deallocate all"))[:2] == ("C", "T")
        with pytest.raises(Refused) as why:
            a.query("listen x")
        assert why.value.code == "58000" and ask(a, query("select 1"))[:2] == ("E", "E")
        a.query("rollback")


def test_lastval_behind_a_begin_is_nobody_elses(proxy):
    with connect(proxy) as a, connect(proxy) as b:
        assert a.value("select nextval('s')")
        for ask_for in (query("select lastval()"), extended("select lastval()")):
            b.query("begin")
            kinds, _, answer = ask(b, ask_for)
            assert error_fields(next(body for kind, body in answer if kind == "E"))["C"] == "55000", kinds
            b.query("rollback")
            assert a.value("select nextval('s')")


def test_settings_of_the_session_hold_behind_it(proxy):
    with connect(proxy, options="-c role=other -c app.tenant=mine") as a, connect(proxy) as b:
        for begin in (query("begin"), extended("begin")):
            assert b.value("select current_user") == "app"
            ask(a, begin)
            assert a.value("select current_user || current_setting('app.tenant')") == "othermine"
            a.query("commit")


def test_no_connection_for_the_first_statement_is_the_end_of_the_transaction(pg):
    with folding(pg, wait_timeout="1s") as proxy, connect(proxy) as a, connect(proxy) as b:
        b.query("begin")
        b.query("select 1")
        a.query("begin")
        kinds, status, answer = ask(a, query("select 1"))
        assert (kinds, status) == ("E", "E") and error_fields(answer[0][1])["C"] == "53300"
        b.query("rollback")
        kinds, status, answer = ask(a, query("select 1"))
        assert (kinds, status) == ("E", "E") and error_fields(answer[0][1])["C"] == "25P02"
        kinds, status, answer = ask(a, query("commit"))
        assert (kinds, status, answer[0][1]) == ("C", "I", b"ROLLBACK\0")
        assert a.value("select 'well'") == "well"


@pytest.mark.parametrize("ask_for", [query, extended])
def test_nothing_behind_a_statement_that_got_no_connection_runs_without_its_begin(pg, ask_for):
    with folding(pg, wait_timeout="1s") as proxy, connect(proxy) as a, connect(proxy) as b:
        b.query("begin")
        b.query("select 1")
        ask(a, ask_for("begin"))
        a.send(*[ask_for(f"insert into t values ({n})") for n in (4001, 4002)], ask_for("select 1"), ask_for("commit"))
        assert error_fields(a.until_ready()[-2][1])["C"] == "53300"
        b.query("rollback")
        for _ in range(2):
            assert error_fields(a.until_ready()[-2][1])["C"] == "25P02"
        assert [(kind, body) for kind, body in a.until_ready() if kind in "CZ"] == [("C", b"ROLLBACK\0"), ("Z", b"I")]
        assert a.value("select count(*) from t where k > 4000") == "0"


@pytest.mark.parametrize("prepared, at_once", [("", True), ("end", True), ("end", False)])
def test_a_prepared_rollback_ends_a_transaction_that_got_no_connection(pg, prepared, at_once):
    with folding(pg, wait_timeout="1s") as proxy, connect(proxy) as a, connect(proxy) as b:
        preparing = parse(prepared, "rollback")
        if not at_once:
            ask(a, preparing + SYNC)
        with connect(proxy) as c:
            c.query("begin")
            c.query("select 1")
            a.query("begin")
            assert ask(a, query("select 1"))[1] == "E"
            c.query("rollback")
        running = bind("", prepared) + describe("P") + execute() + SYNC
        kinds, status, answer = ask(a, (preparing if at_once else b"") + running)
        assert (kinds, status, answer[-2][1]) == ("12nC" if at_once else "2nC", "I", b"ROLLBACK\0")
        assert a.value("select 'well'") == "well" and b.value("select 'well'") == "well"
        if prepared:
            assert ask(a, query("begin"))[1] == "T" and ask(a, running)[:2] == ("2nC", "I")


def test_a_pinned_session_begins_where_it_is(pg):
    with folding(pg, session_features="pin") as proxy, connect(proxy) as a:
        a.query("listen x")
        a.query("begin")
        assert proxy.stats()["begins_folded"] == 0
        a.query("rollback")
        a.query("unlisten *")
