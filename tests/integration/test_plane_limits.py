"""What the proxy does not let happen: clients that hold it up, memory that grows, descriptors that run out, an origin
that moves or goes away under it."""

import os
import resource
import signal
import socket
import subprocess
import threading
import time

import psycopg
import pytest
from support import pgwire as w
from support.chaos import ChaosRelay
from support.hyperdrive import sanitized
from support.ports import PATIENCE, wait_for
from support.postgres import Postgres
from support.proxy import Proxy

SLOW_LOGINS = 30   # seconds, kLoginDeadline in proxy/session/postgres/timeouts.cpp


@pytest.fixture(scope="module")
def origin():
    with Postgres() as pg:
        pg.psql("create table sink (v text)", user="app")
        yield pg


class Dawdler:
    """Opens a connection, sends `first`, and goes on with `more` byte by byte; knows when it was hung up on."""

    def __init__(self, port, first=b"", more=b""):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=SLOW_LOGINS * PATIENCE)
        self.since, self.lasted = time.monotonic(), None
        self.thread = threading.Thread(target=self.run, args=(first, more), daemon=True)
        self.thread.start()

    def run(self, first, more):
        try:
            self.socket.sendall(first)
            for byte in more:
                self.socket.sendall(bytes([byte]))
                time.sleep(2)
        except OSError:
            pass
        try:
            while self.socket.recv(4096):
                pass
        except OSError:
            pass
        self.lasted = time.monotonic() - self.since


@pytest.fixture(scope="module", autouse=True)
def dawdlers(origin):
    """They dawdle while the other tests run."""
    with Proxy(origin) as proxy:
        hello = w.startup({"user": proxy.user, "database": proxy.database})
        yield proxy, {
            "silent": Dawdler(proxy.port), "half a packet": Dawdler(proxy.port, hello[:20]),
            "byte by byte": Dawdler(proxy.port, hello[:4], hello[4:40]), "no password": Dawdler(proxy.port, hello),
        }


# --- memory ---------------------------------------------------------------------------------------------

def test_a_client_that_sends_faster_than_the_origin_reads_is_held_back(origin):
    with ChaosRelay(origin.port) as relay, Proxy(origin, port=relay.port, origin_connection_limit=2) as proxy, \
            w.Connection.open(proxy.url()) as c:
        c.send(w.query("copy sink from stdin"))
        c.until("G")
        before, sent = proxy.rss_kb(), 0
        relay.stalled = True
        c.socket.settimeout(2)
        chunk = w.copy_data(b"x" * 65536 + b"\n")
        try:
            for _ in range(4000):   # 256 MB
                c.socket.sendall(chunk)
                sent += len(chunk)
            raise AssertionError("nothing held the client back")
        except socket.timeout:
            pass
        grown = proxy.rss_kb() - before
        assert grown < 24 * 1024 or sanitized(), f"{grown} kB more after {sent >> 20} MB"
        relay.stalled = False


def test_an_origin_that_sends_faster_than_the_client_reads_is_held_back_and_others_go_on(origin):
    with Proxy(origin, origin_connection_limit=3) as proxy:
        before = proxy.rss_kb()
        sleepers = [w.Connection.open(proxy.url()) for _ in range(2)]
        for c in sleepers:
            c.send(w.query("select repeat('y', 10000) from generate_series(1, 20000)"))   # 200 MB each
        wait_for(lambda: proxy.stats()["bytes_to_clients"] > 100_000, 20, "rows flow")
        with w.Connection.open(proxy.url()) as other:
            for i in range(200):
                assert other.value(f"select {i}") == str(i)
        grown = proxy.rss_kb() - before
        assert grown < 24 * 1024 or sanitized(), f"{grown} kB more"
        for c in sleepers:
            c.socket.close()


def test_a_client_that_never_reads_is_cut_and_its_connection_serves_the_next(origin):
    with Proxy(origin, origin_connection_limit=1, local={"client_write_timeout": "1s"}) as proxy, \
            w.Connection.open(proxy.url()) as next_one:
        deaf = w.Connection.open(proxy.url())
        deaf.send(w.query("select repeat('z', 10000) from generate_series(1, 20000)"))
        wait_for(lambda: proxy.stats()["bytes_to_clients"] > 100_000, 20, "rows flow")
        next_one.send(w.query("select 5"))
        assert w.data_row(dict(next_one.until_ready())["D"]) == [b"5"]
        assert proxy.stats()["write_timeouts"] == 1
        deaf.socket.close()


# --- numbers --------------------------------------------------------------------------------------------

def test_one_client_too_many_is_told_so_and_leaves_no_trace(origin):
    with Proxy(origin, local={"max_clients": 3}) as proxy:
        inside = [w.Connection.open(proxy.url()) for _ in range(3)]
        for _ in range(5):
            with pytest.raises(w.Refused) as refused:
                w.Connection.open(proxy.url())
            assert refused.value.code == "53300" and "too many clients" in refused.value.fields["M"]
        inside.pop().close()

        def comes_in():
            try:
                return w.Connection.open(proxy.url())
            except w.Refused:
                return None
        inside.append(wait_for(comes_in, 10, "there is room again"))
        assert proxy.stats()["clients_refused"] >= 5
        for c in inside:
            assert c.value("select 1") == "1"
            c.close()


def test_the_soft_limit_of_open_files_is_raised(origin):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 1000:
        pytest.skip(f"the hard limit here is {hard}")
    proxy = Proxy(origin)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
    try:
        proxy.start()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    try:
        clients = [w.Connection.open(proxy.url()) for _ in range(150)]
        assert clients[-1].value("select 1") == "1"
        for c in clients:
            c.close()
    finally:
        proxy.stop()


# --- the origin ------------------------------------------------------------------------------------------

def test_a_database_that_is_dropped_by_force_and_made_again_is_found_again(origin):
    origin.psql("create database passing owner app", database="postgres")
    with Proxy(origin, database="passing") as proxy, w.Connection.open(proxy.url()) as c:
        assert c.value("select 1") == "1"
        origin.psql("drop database passing with (force)", database="postgres")
        wait_for(lambda: proxy.stats()["origin_connections"] == 0, what="no connection to it is kept")
        with pytest.raises(w.Refused) as refused:
            c.query("select 1")
        assert refused.value.code == "3D000", "the origin's own error"
        origin.psql("create database passing owner app", database="postgres")
        assert wait_for(lambda: answer(c), 10, "it is there again") == "2"


def answer(c):
    try:
        return c.value("select 2")
    except w.Refused:
        return None


def test_a_restart_under_load_costs_each_client_at_most_the_work_in_flight(origin):
    with Proxy(origin, origin_connection_limit=4, local={"wait_timeout": "1m"}) as proxy:
        stop, errors, unclean, answers = threading.Event(), [0] * 8, [], [0] * 8

        def work(n):
            while not stop.is_set():
                try:
                    with psycopg.connect(proxy.url(), autocommit=True, connect_timeout=120) as db:
                        while not stop.is_set():
                            assert db.execute("select %s::int", [n]).fetchone() == (n,)
                            answers[n] += 1
                except psycopg.Error as error:
                    errors[n] += 1
                    if error.sqlstate is not None and error.sqlstate[:2] not in ("08", "57"):
                        unclean.append(repr(error))
        threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
        for t in threads:
            t.start()
        wait_for(lambda: min(answers) > 5, 20, "all work")
        origin.restart()
        before = list(answers)
        wait_for(lambda: all(now > then + 5 for now, then in zip(answers, before)), 30, "all work again")
        stop.set()
        for t in threads:
            t.join()
        assert not unclean, unclean[:3]
        # One for the work in flight; a slow restart can outlast the patience of who came next.
        assert max(errors) <= 3, errors


@pytest.mark.skipif(sanitized(), reason="nothing can be preloaded before a sanitizer's library")
def test_a_name_is_asked_again_for_each_new_connection(origin, tmp_path):
    library, place = str(tmp_path / "moving_name.so"), tmp_path / "address"
    source = os.path.join(os.path.dirname(__file__), "..", "support", "moving_name.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
    place.write_text("127.0.0.1")
    with Proxy(origin, host="moving.test", env={"LD_PRELOAD": library, "MOVING_NAME": str(place)}) as proxy, \
            w.Connection.open(proxy.url()) as c:
        assert c.value("select 1") == "1"
        place.write_text("127.0.0.9")   # nobody listens there
        origin.psql("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'Hyperdrive'")
        wait_for(lambda: proxy.stats()["origin_connections"] == 0, what="the connection is noticed to be dead")
        with pytest.raises(w.Refused) as refused:
            c.query("select 1")
        assert "127.0.0.9" in refused.value.fields["M"]
        place.write_text("127.0.0.1")
        assert wait_for(lambda: answer(c), 10, "the new address") == "2"


# --- last, for it takes the longest -------------------------------------------------------------------------

def test_who_does_not_finish_its_login_is_hung_up_on(dawdlers):
    proxy, clients = dawdlers
    with w.Connection.open(proxy.url()) as c:
        assert c.value("select 1") == "1"
    for name, dawdler in clients.items():
        wait_for(lambda d=dawdler: d.lasted is not None, SLOW_LOGINS, f"{name} is hung up on", every=0.1)
        assert dawdler.lasted > SLOW_LOGINS - 2, (name, dawdler.lasted)
    wait_for(lambda: proxy.stats()["clients"] == 0, 10, "nobody is left")


def test_a_log_that_must_not_grow_is_no_reason_to_end(origin):
    with Proxy(origin) as proxy:
        resource.prlimit(proxy.process.pid, resource.RLIMIT_FSIZE, (2048, 2048))

        def full():
            proxy.process.send_signal(signal.SIGHUP)
            assert proxy.process.poll() is None
            return os.path.getsize(proxy.log_file) == 2048
        wait_for(full, 20, "the log has reached its limit")
        proxy.process.send_signal(signal.SIGHUP)
        with w.Connection.open(proxy.url()) as client:
            assert client.value("select 1") == "1"


@pytest.mark.skipif(sanitized(), reason="sanitizers reserve address space without end")
def test_a_lack_of_memory_is_told_in_the_log(origin):
    with Proxy(origin) as proxy:
        with open(f"/proc/{proxy.process.pid}/statm") as f:
            used = int(f.read().split()[0]) * 4096
        resource.prlimit(proxy.process.pid, resource.RLIMIT_AS, (used + (16 << 20), used + (16 << 20)))
        with w.Connection.open(proxy.url()) as client, pytest.raises((OSError, w.Closed)):
            client.send(w.query("select '" + "x" * (64 << 20) + "'"))
            client.receive()
        assert proxy.process.wait(20 * PATIENCE) == 1
        assert "no more memory" in proxy.log() and "report" not in proxy.log()
