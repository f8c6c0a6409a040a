"""`restart` hands the listening socket over: nobody is refused, running work ends in peace."""

import json
import os
import signal
import threading
import urllib.request

import psycopg2
import pytest

from support import pgwire as w
from support.hyperdrive import Hyperdrive
from support.ports import free_port, wait_for
from support.postgres import Postgres


@pytest.fixture(scope="module")
def pg():
    with Postgres() as server:
        yield server


@pytest.fixture
def hd(pg):
    with Hyperdrive() as installation:
        installation.create("shop", pg.url())
        yield installation


class Knocker(threading.Thread):
    """Connects, asks, leaves, again and again, until told to end."""

    def __init__(self, url):
        super().__init__()
        self.url, self.done, self.answers, self.failures = url, threading.Event(), 0, []

    def run(self):
        while not self.done.is_set():
            try:
                connection = psycopg2.connect(self.url, connect_timeout=60)
                with connection.cursor() as cursor:
                    cursor.execute("select 1")
                    assert cursor.fetchone() == (1,)
                connection.close()
                self.answers += 1
            except (psycopg2.Error, AssertionError) as error:
                self.failures.append(repr(error))


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def test_no_connection_is_refused_during_restarts(hd):
    knockers = [Knocker(hd.start("shop")) for _ in range(3)]
    for knocker in knockers:
        knocker.start()
    try:
        pids = [hd.pid("shop")]
        for _ in range(3):
            hd("restart", "shop")
            pids.append(hd.pid("shop"))
            wait_for(lambda: not alive(pids[-2]), 40, "the old proxy is gone")
    finally:
        for knocker in knockers:
            knocker.done.set()
        for knocker in knockers:
            knocker.join()
    assert len(set(pids)) == 4
    assert [knocker.failures for knocker in knockers] == [[], [], []]
    assert all(knocker.answers > 0 for knocker in knockers)
    assert hd.json("status", "shop", "--json") is not None


def test_a_transaction_that_is_open_at_a_restart_is_not_cut(hd):
    url = hd.start("shop")
    old = hd.pid("shop")
    connection = psycopg2.connect(url)
    with connection.cursor() as cursor:
        cursor.execute("create temp table t(x int) on commit drop")
        hd("restart", "shop")
        assert hd.pid("shop") != old
        cursor.execute("insert into t values (7) returning x")
        assert cursor.fetchone() == (7,)
    connection.commit()
    connection.close()
    wait_for(lambda: not alive(old), 40, "the old proxy is gone")
    with psycopg2.connect(url) as fresh, fresh.cursor() as cursor:
        cursor.execute("select 1")
        assert cursor.fetchone() == (1,)


@pytest.mark.parametrize("restarts", [1, 2])
def test_two_proxies_of_a_restart_serve_no_answer_that_the_other_one_has_made_old(hd, pg, restarts):
    pg.psql("drop table if exists kept; create table kept (id int primary key, v int); insert into kept values (1, 0)")
    hd("update", "shop", "--invalidation", "writes", "--max-age", "600")
    url, read = hd.start("shop"), "select v from kept where id = 1"
    old = hd.pid("shop")
    before = w.Connection.open(url)
    assert before.value(read) == before.value(read) == "0"      # the old proxy has it in memory
    writer = w.Connection.open(url)
    writer.query("begin")
    writer.query("update kept set v = 1 where id = 1")
    for _ in range(restarts):
        hd("restart", "shop")
    after = w.Connection.open(url)
    assert [after.value(read) for _ in range(3)] == ["0"] * 3   # the new one would have it from now on
    writer.query("commit")
    assert after.value(read) == "1", "a write through the old proxy"
    after.query("update kept set v = 2 where id = 1")
    assert before.value(read) == "2", "a write through the new proxy"
    for client in (before, writer):
        client.close()
    wait_for(lambda: not alive(old), 60, "the old proxy is gone")

    def hits():
        return after.value(read) == "2" and hd.stats("shop")["cache"]["hit"] > 0
    wait_for(hits, 60, "the new one, alone, answers from memory")
    after.close()


def test_who_takes_to_obeying_writes_while_two_proxies_serve_keeps_nothing_of_before(hd, pg):
    pg.psql("drop table if exists kept; create table kept (id int primary key, v int); insert into kept values (1, 0)")
    hd("update", "shop", "--invalidation", "none", "--max-age", "600")
    url, read = hd.start("shop"), "select v from kept where id = 1"
    writer = w.Connection.open(url)
    writer.query("begin")
    writer.query("update kept set v = 1 where id = 1")
    hd("restart", "shop")
    after = w.Connection.open(url)
    assert after.value(read) == after.value(read) == "0"        # the new proxy has it in memory
    hd("update", "shop", "--invalidation", "writes")
    assert after.value(read) == "0"
    writer.query("commit")
    assert after.value(read) == "1", "a write through the old proxy"
    for client in (writer, after):
        client.close()


@pytest.mark.parametrize("restarts", [1, 2])
def test_what_runs_since_before_a_restart_can_be_cancelled(hd, pg, restarts):
    connection = psycopg2.connect(hd.start("shop"), connect_timeout=60)
    told = []

    def sleep():
        try:
            connection.cursor().execute("select pg_sleep(600)")
        except psycopg2.Error as error:
            told.append(error.pgcode)

    sleeper = threading.Thread(target=sleep)
    sleeper.start()
    running = "select count(*) from pg_stat_activity where query = 'select pg_sleep(600)' and state = 'active'"
    wait_for(lambda: pg.psql(running).strip() == "1", 60, "the statement runs")
    for _ in range(restarts):
        hd("restart", "shop")
    connection.cancel()  # reaches the newest proxy, which does not know the session
    sleeper.join(60)
    assert told == ["57014"]
    connection.close()


def test_a_proxy_that_drains_gives_its_port_up(hd):
    url = hd.start("shop")
    old = hd.pid("shop")
    connection = psycopg2.connect(url)
    with connection.cursor() as cursor:
        cursor.execute("create temp table t(x int) on commit drop")
        hd("restart", "shop")
        hd("stop", "shop")
        with pytest.raises(psycopg2.OperationalError, match="refused"):
            psycopg2.connect(url)
        hd("start", "shop")
        assert alive(old), "its transaction is still open"
        with psycopg2.connect(url) as fresh, fresh.cursor() as other:
            other.execute("select 1")
        cursor.execute("insert into t values (7) returning x")
        assert cursor.fetchone() == (7,)
    connection.commit()
    connection.close()


def test_nothing_of_a_deleted_config_stays_in_the_state_folder(hd):
    hd.start("shop")
    hd("restart", "shop")
    old = hd.pid("shop")
    hd("restart", "shop")
    wait_for(lambda: not alive(old), 40, "the old proxy is gone")
    hd("stop", "shop")
    hd("delete", "shop", "--yes")
    assert os.listdir(os.path.join(hd.home, "run")) == os.listdir(os.path.join(hd.home, "log")) == []


def test_a_restart_that_fails_changes_nothing(hd, tmp_path):
    url = hd.start("shop")
    before = hd.pid("shop")
    broken = tmp_path / "broken-proxy"
    broken.write_text("#!/bin/sh\nexit 3\n")
    broken.chmod(0o755)
    result = hd.run("restart", "shop", env={"HYPERDRIVE_PROXY": str(broken)})
    assert result.returncode == 1
    assert "exit code 3" in result.stderr
    assert hd.pid("shop") == before
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("select 1")
        assert cursor.fetchone() == (1,)
    hd("restart", "shop")


def test_two_restarts_at_once(hd):
    url = hd.start("shop")
    results = []
    threads = [threading.Thread(target=lambda: results.append(hd.run("restart", "shop"))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [r.returncode for r in results] == [0, 0], [r.stderr for r in results]
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("select 1")
        assert cursor.fetchone() == (1,)
    hd("stop", "shop")
    assert not os.path.exists(os.path.join(hd.home, "run", hd.json("get", "shop")["id"] + ".json"))


def test_the_admin_port_moves_to_the_successor(pg):
    with Hyperdrive() as hd:
        port = free_port()
        hd.create("shop", pg.url(), "--admin-port", str(port))
        hd("start", "shop")
        with psycopg2.connect(hd("url", "shop").strip()) as connection:
            cursor = connection.cursor()
            cursor.execute("select 1")  # a transaction: the old one drains as long as it is open
            hd("restart", "shop")
            wait_for(lambda: hd.json("status", "shop", "--json")["proxy"]["dashboard"], what="the port of the new one")
            address = hd.json("status", "shop", "--json")["proxy"]["dashboard"]
            token = address.split("token=")[1]
            request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/status", headers={"Authorization": f"Bearer {token}"})
            with urllib.request.urlopen(request) as answer:
                assert json.load(answer)["pid"] == hd.pid("shop")


def waits_at_the_origin(pg):
    return pg.psql("select count(*) from pg_stat_activity where query = 'select pg_sleep(300)' and state = 'active'") == "1\n"


@pytest.fixture
def sleeping(pg, hd):
    """Somebody waits for a query of five minutes."""
    client = w.Connection.open(hd.start("shop"))
    client.send(w.query("select pg_sleep(300)"))
    wait_for(lambda: waits_at_the_origin(pg), what="the query runs")
    yield client
    pg.psql("select pg_terminate_backend(pid) from pg_stat_activity where query = 'select pg_sleep(300)'")
    client.close()


def test_stop_by_force_leaves_nothing_running_at_the_origin(pg, hd, sleeping):
    hd("stop", "shop", "--force")
    assert not waits_at_the_origin(pg)
    assert w.error_fields(sleeping.receive()[1])["C"] == "57P01"
    assert hd.json("stop", "shop", "--json")["was_running"] is False


def test_stop_by_force_ends_a_proxy_that_hears_nothing(hd):
    hd.start("shop")
    os.kill(hd.pid("shop"), signal.SIGSTOP)
    assert hd.json("stop", "shop", "--force", "--json")["was_running"] is True
