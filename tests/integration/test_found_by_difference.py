"""What the model-based differential test (tests/support/differential) has found, in the shortest form that shows it.

Each conversation is also held with Postgres itself, and must be answered alike.
"""

import struct

import pytest
from support.differential.sides import normalise
from support.pgwire import (COPY_DONE, FLUSH, SYNC, TERMINATE, Closed, Connection, bind, close, copy_data, copy_fail, data_row, describe, execute,
                            message, parse, query)
from support.ports import wait_for
from support.postgres import Postgres
from support.proxy import Proxy


@pytest.fixture(scope="module")
def pg():
    with Postgres() as pg:
        pg.psql("create table t (k int primary key)")
        yield pg


@pytest.fixture(scope="module", params=["hyperdrive", "pin"])
def proxy(pg, request):
    with Proxy(pg, origin_connection_limit=1, local={"session_features": request.param}) as p:
        yield p


def run(sql, name="", portal=""):
    return parse(name, sql) + bind(portal, name) + execute(portal)


def talk(c, *steps):
    """Each step: what is sent in one write, and how many ReadyForQuery end its answer; -1: the end of the connection."""
    heard = []
    for sent, ends in steps:
        c.send(sent)
        while ends != 0:
            try:
                kind, body = c.receive()
            except Closed:
                assert ends < 0
                return [*heard, "closed"]
            heard.append(normalise(kind, body))
            ends -= kind == "Z" and ends > 0
    return heard


def alike(pg, proxy, *steps, **startup):
    startup = {"application_name": "same"} | startup
    with Connection.open(pg.url(), **startup) as direct, Connection.open(proxy.url(), **startup) as proxied:
        got = talk(proxied, *steps)
        pg.psql("truncate t")
        assert got == talk(direct, *steps)
        pg.psql("truncate t")
    return got


@pytest.mark.parametrize("last", [TERMINATE, message(b"y")], ids=["Terminate", "no message type at all"])
def test_who_has_said_all_hears_the_answers_to_what_was_before(pg, proxy, last):
    work = query("insert into t values (1)") + run("select pg_sleep(0.05)") + SYNC + query("select repeat('x', 300000)")
    got = alike(pg, proxy, (work + last, -1))
    assert ("C", b"INSERT 0 1\0") in got and got[-1] == "closed"


@pytest.mark.parametrize("sql", ["discard all", "reset all", "deallocate all", "set timezone to 'Asia/Tokyo'"])
def test_who_leaves_behind_a_reset_without_sync_takes_nothing_from_the_next(proxy, sql):
    startup = {"TimeZone": "Asia/Kolkata", "application_name": "mine"}
    with Connection.open(proxy.url(), **startup) as c:
        c.send(run("select 42", "a") + SYNC)
        c.until_ready()
        with Connection.open(proxy.url(), **startup) as leaving:
            leaving.send(run(sql) + TERMINATE)
            leaving.socket.shutdown(1)
            with pytest.raises(Closed):
                while True:
                    leaving.receive()
        c.send(bind("", "a") + execute() + SYNC)
        assert [kind for kind, _ in c.until_ready()] == ["2", "D", "C", "Z"]   # no ParameterStatus, no error
        assert c.value("show timezone") == "Asia/Kolkata" and c.value("show application_name") == "mine"


@pytest.mark.parametrize("proxy", ["hyperdrive"], indirect=True)
@pytest.mark.parametrize("sql", ["deallocate all", "deallocate a", "deallocate b", "deallocate missing"])
def test_a_deallocate_behind_a_begin_without_a_sync_tells_that_a_transaction_is_open(pg, proxy, sql):
    with Connection.open(pg.url()) as direct, Connection.open(proxy.url()) as proxied:
        talk(direct, (parse("b", "select 2") + SYNC, 1))
        talk(proxied, (parse("b", "select 2") + SYNC, 1))
        # That the proxy's connection has it no longer:
        pg.psql(f"select pg_terminate_backend(pid) from pg_stat_activity where backend_type = 'client backend' and pid not in (pg_backend_pid(), {direct.pid})")
        work = run("begin", "a") + query(sql) + SYNC
        got = talk(proxied, (work, 2))
        assert got == talk(direct, (work, 2))
        assert ("Z", b"T") in got or sql.endswith("missing")


def test_a_description_is_not_that_of_a_later_statement_with_the_same_text_and_other_types(proxy):
    described = parse("", "select $1::int + 1") + describe("S", "")
    with Connection.open(proxy.url()) as one, Connection.open(proxy.url()) as other:
        talk(one, (described + parse("", "select $1::int + 1", (0, 25)) + SYNC, 1))
        talk(other, (parse("", "select 7") + SYNC, 1))   # on the connection that the other one had
        assert ("D", b"\0\1\0\0\0\x015") in talk(one, (bind("", "", [b"4", b"text"]) + execute() + SYNC, 1))


@pytest.mark.parametrize("proxy", ["pin"], indirect=True)
@pytest.mark.parametrize("end", [query("select 1/0"), parse("", "select 1/0") + bind("", "") + execute() + SYNC, query("rollback")],
                         ids=["error", "error in a pipeline", "rollback"])
def test_a_reset_that_is_undone_is_told_at_once_to_be_undone(pg, proxy, end):
    got = alike(pg, proxy, (query("set intervalstyle to 'iso_8601'"), 1), (query("begin"), 1), (query("reset all"), 1), (end, 1),
                (query("rollback"), 1), (query("show intervalstyle"), 1), IntervalStyle="postgres_verbose")
    assert got.count(("S", b"IntervalStyle\0iso_8601\0")) == 2
