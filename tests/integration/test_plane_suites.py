"""What drivers' own test suites ask of a connection and a pooler easily gets wrong."""

import contextlib

import psycopg2
import pytest
from support import pgwire as w
from support.ports import wait_for
from support.postgres import Postgres
from support.proxy import Proxy


@pytest.fixture(scope="module")
def origin():
    with Postgres() as pg:
        yield pg


@pytest.fixture(scope="module")
def pinning(origin):
    with Proxy(origin, origin_connection_limit=8, local={"session_features": "pin"}) as p:
        wait_for(lambda: knows_the_catalogs(p, origin), what="the catalogs are known")
        yield p


def knows_the_catalogs(proxy, origin):
    """Until then every connection is cleaned after use, and one that is being cleaned serves nobody."""
    with contextlib.closing(connect(proxy)) as client:
        pid = value(client, "select pg_backend_pid()")
    proxy.wait_quiet()
    return "pg_backend_pid" in origin.psql(f"select query from pg_stat_activity where pid = {pid}")


def connect(proxy):
    connection = psycopg2.connect(proxy.url())
    connection.autocommit = True
    return connection


def value(connection, sql, *parameters):
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchone()[0]


def run(connection, sql):
    with connection.cursor() as cursor:
        cursor.execute(sql)


def test_each_session_is_told_the_process_id_that_its_statements_run_under(pinning):
    clients = [connect(pinning) for _ in range(5)]
    for _ in range(3):
        for client in clients:
            assert value(client, "select pg_backend_pid()") == client.info.backend_pid
    assert len({client.info.backend_pid for client in clients}) == len(clients)
    for client in clients:
        client.close()


def test_more_sessions_than_connections_still_log_in_and_work(pinning):
    clients = [connect(pinning) for _ in range(20)]
    assert len({client.info.backend_pid for client in clients}) == len(clients)
    for client in reversed(clients):
        assert value(client, "select 1") == 1
        client.close()


def test_a_notification_names_the_process_id_of_its_sender(pinning):
    listener, sender = connect(pinning), connect(pinning)
    run(listener, "listen news")
    run(sender, "notify news, 'payload'")

    def heard():
        listener.poll()
        return listener.notifies
    wait_for(heard, 10, "the notification")
    assert [(n.channel, n.payload, n.pid) for n in listener.notifies] == [
        ("news", "payload", sender.info.backend_pid)]
    listener.close()
    sender.close()


def test_idle_sessions_survive_a_restart_of_the_origin(pinning, origin):
    client = connect(pinning)
    assert value(client, "select 1") == 1
    origin.restart()
    assert value(client, "select 2") == 2
    client.close()


def test_an_idle_session_that_is_terminated_by_its_process_id_is_gone(pinning):
    with w.Connection.open(pinning.url()) as victim:
        pid = victim.value("select pg_backend_pid()")
        killer = connect(pinning)
        assert value(killer, "select pg_terminate_backend(%s)", int(pid))
        kind, body = victim.receive()
        assert kind == "E" and w.error_fields(body)["C"] == "57P01"
        with pytest.raises(w.Closed):
            victim.receive()
    assert value(killer, "select 1") == 1
    killer.close()


def test_a_session_that_terminates_itself_hears_only_the_origins_last_words(pinning):
    with w.Connection.open(pinning.url()) as client:
        client.send(w.query("select pg_terminate_backend(pg_backend_pid())"))
        heard = []
        with pytest.raises(w.Closed):
            while True:
                heard.append(client.receive())
    assert [w.error_fields(body)["C"] for kind, body in heard if kind == "E"] == ["57P01"]


def test_what_is_prepared_after_a_change_of_definitions_has_the_new_shape(pinning):
    asyncpg = pytest.importorskip("asyncpg")
    import asyncio

    async def scene(change):
        one = await asyncpg.connect(pinning.url())
        await one.execute("drop table if exists shapes; create table shapes (a int); insert into shapes values (1)")
        assert (await one.fetch("select * from shapes"))[0]["a"] == 1
        await one.execute(change)
        two = await asyncpg.connect(pinning.url())
        for fresh in (two, one):
            statement = await fresh.prepare("select * from shapes")
            assert [a.name for a in statement.get_attributes()] == ["a", "b"]
            assert (await statement.fetch())[0]["b"] is None
            insert = await fresh.prepare("insert into shapes (a) values ($1)")
            assert insert.get_parameters()[0].name == "text"
        await one.close()
        await two.close()

    asyncio.run(scene("drop table shapes; create table shapes (a text, b text); insert into shapes values ('x')"))
    asyncio.run(scene("begin; alter table shapes alter a type text; alter table shapes add b int; commit"))


def test_in_a_transaction_a_deallocated_statement_is_gone_from_the_connection_too(pinning):
    with w.Connection.open(pinning.url()) as client:
        client.send(w.parse("held", "select 42 as held_by_suites") + w.SYNC)
        client.until_ready()
        client.query("begin")
        client.send(w.bind("", "held") + w.execute() + w.SYNC)
        client.until_ready()
        count = "select count(*) from pg_prepared_statements where statement like '%held_by_suites'"
        assert client.value(count) == "1"
        client.query("deallocate held")
        assert client.value(count) == "0"
        client.query("commit")


def test_a_changed_plan_is_told_as_drivers_recognise_it(origin):
    # asyncpg and pgJDBC look for the routine, and then prepare anew.
    with Proxy(origin, origin_connection_limit=4, caching={"disabled": False},
               local={"session_features": "pin", "invalidation": "writes"}) as p, w.Connection.open(p.url()) as client:
        client.query("create table widened (a int); insert into widened values (1)")
        client.send(w.parse("wide", "select * from widened") + w.describe("S", "wide") + w.SYNC)
        client.until_ready()
        client.send(w.bind("", "wide") + w.execute() + w.SYNC)
        client.until_ready()
        client.query("alter table widened alter a type text")
        client.send(w.bind("", "wide") + w.execute() + w.SYNC)
        errors = [w.error_fields(body) for kind, body in client.until_ready() if kind == "E"]
        assert [(e["C"], e["R"]) for e in errors] == [("0A000", "RevalidateCachedQuery")]


@pytest.mark.parametrize("features", ["pin", "hyperdrive"])
@pytest.mark.parametrize("extended", [False, True])
def test_lastval_is_never_another_sessions(origin, features, extended):
    def ask(client, sql, name=""):
        if not extended:
            client.send(w.query(sql))
        else:
            client.send(w.parse(name, sql) + w.bind("", name) + w.execute() + w.SYNC)
        replies = client.until_ready()
        errors = [w.error_fields(body)["C"] for kind, body in replies if kind == "E"]
        return errors[0] if errors else [w.data_row(body)[0] for kind, body in replies if kind == "D"]

    with Proxy(origin, origin_connection_limit=1, local={"session_features": features}) as p, \
            w.Connection.open(p.url()) as one, w.Connection.open(p.url()) as other:
        one.query("create table if not exists numbered (id serial, who text); truncate numbered restart identity")
        assert ask(one, "insert into numbered (who) values ('one')") == []
        assert ask(one, "select lastval()", "mine") == [b"1"]
        assert ask(other, "select lastval()") == "55000"
        assert ask(other, "select currval('numbered_id_seq')", "current") == "55000"
        assert ask(other, "insert into numbered (who) values ('other')") == []
        assert ask(other, "select lastval()") == [b"2"]
        assert ask(one, "select lastval()") == "55000"
        if extended:
            one.send(w.bind("", "mine") + w.execute() + w.SYNC)
            assert [w.error_fields(body)["C"] for kind, body in one.until_ready() if kind == "E"] == ["55000"]
        one.query("begin")
        assert ask(one, "insert into numbered (who) values ('one')") == []
        assert ask(one, "select currval('numbered_id_seq')") == [b"3"]
        one.query("commit")


@pytest.mark.parametrize("features", ["pin", "hyperdrive"])
def test_a_session_waits_for_the_connection_that_is_cleaned_after_it(origin, features):
    """An insert into a table of which nothing is known yet may have run anything."""
    with Proxy(origin, origin_connection_limit=4, local={"session_features": features}) as p, \
            w.Connection.open(p.url()) as other, w.Connection.open(p.url()) as client:
        other.query("begin; select 1")
        other.query("commit")
        for i in range(20):
            client.query("drop table if exists fresh")
            client.query("create table fresh (id serial, t text)")
            client.send(w.parse(f"s{i}", "insert into fresh (t) values ('x')") + w.bind("", f"s{i}") + w.execute() + w.SYNC)
            client.until_ready()
            client.send(w.query("select lastval()"))
            assert [w.data_row(body)[0] for kind, body in client.until_ready() if kind == "D"] == [b"1"]
