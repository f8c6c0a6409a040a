"""The pool: its limit, its order, its deadlines, and an origin that comes and goes."""

import os
import signal
import struct
import threading
import time

import psycopg
import pytest
from support import pgwire as w
from support.ports import free_port, wait_for
from support.postgres import Postgres
from support.proxy import Proxy


@pytest.fixture(scope="module")
def origin():
    with Postgres() as pg:
        pg.psql("create table t (k int primary key, v text); insert into t select n, 'v' || n from generate_series(1, 1000) n")
        yield pg


def test_sixty_four_clients_on_a_pool_of_four_get_their_own_answers(origin):
    with Proxy(origin, origin_connection_limit=4) as proxy:
        wrong, most = [], [0]

        def work(n):
            with psycopg.connect(proxy.url(), autocommit=True) as c:
                for i in range(40):
                    key = (n * 40 + i) % 1000 + 1
                    if c.execute("select v from t where k = %s", [key]).fetchone()[0] != f"v{key}":
                        wrong.append(key)

        threads = [threading.Thread(target=work, args=(n,)) for n in range(64)]
        for t in threads:
            t.start()
        while any(t.is_alive() for t in threads):
            most[0] = max(most[0], proxy.stats()["origin_connections"])
            # The one that read the schema has been told to go, which takes its backend a moment.
            wait_for(lambda: origin.backends("Hyperdrive") <= 4, 5, "no more backends than the limit")
            time.sleep(0.02)
        for t in threads:
            t.join()
        assert not wrong and most[0] <= 4
        assert proxy.stats()["wait_timeouts"] == 0


def test_lib_pq_and_pgx_never_get_another_clients_rows(origin):
    """The unnamed statement is used across a Sync: 24 clients on a pool of 2."""
    with Proxy(origin, origin_connection_limit=2) as proxy:
        wrong = []

        def work(n):
            with w.Connection.open(proxy.url()) as c:
                for i in range(60):
                    c.send(w.parse("", f"select {n} as n, {i} as i, $1::int as x"), w.describe("S"), w.SYNC)
                    c.until_ready()
                    c.send(w.bind("", "", [str(i)]), w.execute(), w.SYNC)
                    rows = [w.data_row(b) for k, b in c.until_ready() if k == "D"]
                    if rows != [[str(n).encode(), str(i).encode(), str(i).encode()]]:
                        wrong.append(rows)

        threads = [threading.Thread(target=work, args=(n,)) for n in range(24)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert not wrong
        assert proxy.stats()["parses_injected"] > 0


def test_who_waits_too_long_is_told_so_and_can_go_on(origin):
    with Proxy(origin, origin_connection_limit=1, local={"wait_timeout": "2s"}) as proxy, \
            w.Connection.open(proxy.url()) as holder, w.Connection.open(proxy.url()) as waiter:
        holder.query("begin")
        with pytest.raises(w.Refused) as refused:
            waiter.query("select 1")
        assert refused.value.code == "53300"
        assert refused.value.fields["M"] == "Timed out while waiting for an open slot in the pool."
        holder.query("commit")
        assert waiter.value("select 1") == "1"
        assert proxy.stats()["wait_timeouts"] == 1


def test_waiters_are_served_in_the_order_in_which_they_came(origin):
    with Proxy(origin, origin_connection_limit=1) as proxy, w.Connection.open(proxy.url()) as holder:
        clients = [w.Connection.open(proxy.url()) for _ in range(8)]
        holder.query("begin")
        for i, c in enumerate(clients):
            c.send(w.query("select extract(epoch from clock_timestamp())"))
            wait_for(lambda n=i: proxy.stats()["waiting"] == n + 1, what="the client waits")
        holder.query("commit")
        served = [float(w.data_row(dict(c.until_ready())["D"])[0]) for c in clients]
        assert served == sorted(served), "the origin saw them in that order"
        for c in clients:
            c.close()


def test_the_origins_own_refusal_reaches_the_client(origin):
    with Proxy(origin, origin_password="wrong") as proxy:
        with pytest.raises(w.Refused) as refused:
            w.Connection.open(proxy.url())
        assert refused.value.code == "28P01"
        assert "password authentication failed" in refused.value.fields["M"]


def test_an_origin_that_is_not_there_is_said_so_at_once(origin):
    with Proxy(origin, port=free_port()) as proxy:
        start = time.monotonic()
        with pytest.raises(w.Refused) as refused:
            w.Connection.open(proxy.url())
        assert refused.value.code == "08006" and time.monotonic() - start < 10, "not only after the connect timeout of 15 s"


def test_a_restart_of_the_origin_is_survived(origin):
    with Proxy(origin, origin_connection_limit=2) as proxy, w.Connection.open(proxy.url()) as c:
        assert c.value("select 1") == "1"
        origin.restart()
        assert c.value("select 2") == "2"
        with w.Connection.open(proxy.url()) as d:
            assert d.value("select 3") == "3"


def test_a_terminated_idle_connection_is_replaced_silently(origin):
    with Proxy(origin, origin_connection_limit=1) as proxy, w.Connection.open(proxy.url()) as c:
        assert c.value("select 1") == "1"
        origin.psql("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'Hyperdrive'")
        wait_for(lambda: proxy.stats()["origin_connections"] == 0, what="the dead connection is noticed")
        assert c.value("select 2") == "2"


def stop(process):
    """Until each of its threads stands still."""
    process.send_signal(signal.SIGSTOP)

    def stands():
        tasks = f"/proc/{process.pid}/task"
        return all(open(f"{tasks}/{task}/stat").read().rsplit(")", 1)[1].split()[0] == "T" for task in os.listdir(tasks))
    wait_for(stands, 10, "it has stopped")


@pytest.mark.parametrize("loop", ["io_uring", "epoll"])
def test_who_asks_in_the_moment_in_which_the_connection_dies_gets_another(origin, loop):
    with Proxy(origin, origin_connection_limit=1, local={"workers": 1}, env={"HYPERDRIVE_LOOP": loop}) as proxy:
        for turn in range(3):
            with w.Connection.open(proxy.url()) as c:
                pid = c.value("select pg_backend_pid()")
                stop(proxy.process)  # it hears of both at once, of the question first
                c.send(w.query(f"select {turn}"))
                origin.psql(f"select pg_terminate_backend({pid}, 20000)")
                proxy.process.send_signal(signal.SIGCONT)
                assert [w.data_row(body) for kind, body in c.until_ready() if kind == "D"] == [[str(turn).encode()]]


def test_idle_connections_are_closed_after_their_time(origin):
    with Proxy(origin, local={"idle_timeout": "1s"}) as proxy, w.Connection.open(proxy.url()) as c:
        assert c.value("select 1") == "1"
        wait_for(lambda: proxy.stats()["origin_connections"] == 0, 5, "the idle connection is closed")
        assert c.value("select 2") == "2"


def test_an_abandoned_transaction_is_rolled_back(origin):
    with Proxy(origin, origin_connection_limit=1) as proxy:
        c = w.Connection.open(proxy.url())
        c.query("begin")
        c.query("update t set v = 'abandoned' where k = 1")
        c.socket.close()
        with w.Connection.open(proxy.url()) as d:
            assert d.value("select v from t where k = 1") == "v1"


def test_what_was_sent_before_the_client_left_is_done(origin):
    origin.psql("create table done (x int)")
    with Proxy(origin, origin_connection_limit=1) as proxy:
        c = w.Connection.open(proxy.url())
        c.send(w.query("insert into done values (1)"), w.TERMINATE)
        c.socket.close()
        wait_for(lambda: origin.psql("select count(*) from done").strip() == "1", what="the insert is there")


def test_a_query_over_its_limit_is_cancelled(origin):
    with Proxy(origin, local={"query_timeout": "2s"}) as proxy, w.Connection.open(proxy.url()) as c:
        with pytest.raises(w.Refused) as refused:
            c.query("select pg_sleep(30)")
        assert refused.value.code == "57014"
        assert refused.value.fields["M"] == "canceling statement due to query timeout"
        assert c.value("select 1") == "1"
        assert proxy.stats()["query_timeouts"] == 1


def test_a_cancel_hits_its_session_and_never_the_next(origin):
    with Proxy(origin, origin_connection_limit=1) as proxy, w.Connection.open(proxy.url()) as a, \
            w.Connection.open(proxy.url(), version=196610) as b:
        assert len(b.key) == 32 and len(a.key) == 4
        a.send(w.query("select pg_sleep(30)"))
        wait_for(lambda: origin.psql("select count(*) from pg_stat_activity where query like 'select pg_sleep%' and "
                                     "state = 'active'").strip() == "1", what="the query runs")
        a.cancel()
        errors = [w.error_fields(body)["C"] for kind, body in a.until_ready() if kind == "E"]
        assert errors == ["57014"]
        for _ in range(20):
            a.cancel()  # nothing runs: dropped
            assert b.value("select 1") == "1"


def asleep(origin, seconds: int) -> int:
    return int(origin.psql(f"select count(*) from pg_stat_activity where query = 'select pg_sleep({seconds})' and state = 'active'"))


def test_a_cancel_is_heard_behind_any_number_of_wrong_ones(origin):
    with Proxy(origin, local={"workers": 1}) as proxy, w.Connection.open(proxy.url()) as c:
        c.send(w.query("select pg_sleep(31)"))
        wait_for(lambda: asleep(origin, 31) == 1, what="the query runs")
        os.kill(proxy.process.pid, signal.SIGSTOP)  # so that all are heard in a moment
        wrong = [w.Connection("127.0.0.1", proxy.port) for _ in range(200)]
        for n, each in enumerate(wrong):
            each.send(struct.pack("!IIII", 16, 80877102, c.pid, n))
        right = threading.Thread(target=c.cancel)
        right.start()
        os.kill(proxy.process.pid, signal.SIGCONT)
        assert [w.error_fields(body)["C"] for kind, body in c.until_ready() if kind == "E"] == ["57014"]
        right.join()
        for each in wrong:
            each.socket.close()


def test_a_cancel_waits_for_the_settings_that_go_before_its_statement(origin):
    with Proxy(origin, origin_connection_limit=1) as proxy, w.Connection.open(proxy.url(), application_name="a") as a, \
            w.Connection.open(proxy.url(), application_name="b") as b:
        a.query("select 1")
        backend = int(b.value("select pg_backend_pid()"))
        os.kill(backend, signal.SIGSTOP)
        try:
            a.send(w.query("select pg_sleep(33)"))
            wait_for(lambda: proxy.stats()["idle"] == 0, what="the settings are on their way")
            cancelling = threading.Thread(target=a.cancel)
            cancelling.start()
            wait_for(lambda: proxy.stats()["cancels"] == 1, what="the cancel is heard")
            assert a.silent()  # nor does it go yet
        finally:
            os.kill(backend, signal.SIGCONT)
        assert [w.error_fields(body)["C"] for kind, body in a.until_ready() if kind == "E"] == ["57014"]
        cancelling.join()
        assert a.value("show application_name") == "a"


def test_everybody_may_cancel_at_once(origin):
    with Proxy(origin, origin_connection_limit=24, local={"workers": 1}) as proxy:
        clients = [w.Connection.open(proxy.url()) for _ in range(24)]
        for c in clients:
            c.send(w.query("select pg_sleep(32)"))
        wait_for(lambda: asleep(origin, 32) == 24, what="all queries run")
        os.kill(proxy.process.pid, signal.SIGSTOP)
        requests = [threading.Thread(target=c.cancel) for c in clients]
        for each in requests:
            each.start()
        os.kill(proxy.process.pid, signal.SIGCONT)
        for c in clients:
            assert [w.error_fields(body)["C"] for kind, body in c.until_ready() if kind == "E"] == ["57014"]
        for each in requests:
            each.join()
        for c in clients:
            c.close()


def test_connections_are_replaced_within_what_the_origin_allows(origin):
    origin.psql("create role narrow login password 'narrow' connection limit 2")
    wrong = []

    def ask():
        with w.Connection.open(proxy.url()) as c:
            while not done.is_set():
                try:
                    c.query("select 1")
                except w.Refused as error:
                    wrong.append(error)

    with Proxy(origin, origin_user="narrow", origin_password="narrow", origin_connection_limit=2) as proxy:
        done = threading.Event()
        clients = [threading.Thread(target=ask) for _ in range(2)]
        for client in clients:
            client.start()
        for n in range(16):
            before = proxy.stats()["origin_connects"]
            status, body = proxy.reload(origin={"host": ("localhost", "127.0.0.1")[n % 2]})
            assert status == 200, body
            wait_for(lambda: proxy.stats()["origin_connects"] > before, what="another connection is open")
        done.set()
        for client in clients:
            client.join()
    assert not wrong and "too many connections for role" not in origin.log()


def test_a_wrong_password_user_or_database_is_refused_as_postgres_does(origin):
    with Proxy(origin) as proxy:
        for url, code in ((proxy.url(password="wrong"), "28P01"), (proxy.url(user="nobody"), "28P01"),
                          (proxy.url(database="other"), "3D000")):
            with pytest.raises(w.Refused) as refused:
                w.Connection.open(url)
            assert refused.value.code == code and refused.value.fields["S"] == "FATAL"


def test_sigterm_lets_work_end_and_tells_idle_clients(origin):
    with Proxy(origin) as proxy:
        idle, busy = w.Connection.open(proxy.url()), w.Connection.open(proxy.url())
        busy.query("begin")
        proxy.process.send_signal(signal.SIGTERM)
        kind, body = idle.receive()
        assert kind == "E" and w.error_fields(body)["C"] == "57P01"
        assert busy.value("select 5") == "5"
        busy.query("commit")
        assert proxy.process.wait(40) == 0


def test_a_session_that_keeps_its_connection_is_told_of_the_end_as_soon_as_it_rests(origin):
    with Proxy(origin, local={"session_features": "pin"}) as proxy:
        resting, busy = w.Connection.open(proxy.url()), w.Connection.open(proxy.url())
        for c in (resting, busy):
            c.query("listen news")
        busy.query("begin")
        proxy.process.send_signal(signal.SIGTERM)
        kind, body = resting.receive()
        assert kind == "E" and w.error_fields(body)["C"] == "57P01"
        assert busy.value("select 5") == "5"
        busy.query("commit")
        kind, body = busy.receive()
        assert kind == "E" and w.error_fields(body)["C"] == "57P01"
        assert proxy.process.wait(20) == 0


def test_garbage_ends_only_its_own_connection(origin):
    with Proxy(origin) as proxy, w.Connection.open(proxy.url()) as c:
        for junk in (b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 64, b"\0\0\0\4", b"\0\0\x40\0\0\3\0\0" + b"x" * 100):
            s = w.Connection("127.0.0.1", proxy.port)
            s.socket.sendall(junk)
            s.socket.shutdown(1)
            while s.socket.recv(4096):
                pass
            s.socket.close()
        c.send(b"?\0\0\0\4")
        with pytest.raises((w.Closed, ConnectionError)):
            while True:
                c.receive()
        with w.Connection.open(proxy.url()) as d:
            assert d.value("select 1") == "1"


def test_a_reload_changes_the_limit_and_the_origins_password_at_once(origin):
    with Proxy(origin, origin_connection_limit=1, local={"wait_timeout": "10s"}) as proxy, \
            w.Connection.open(proxy.url()) as a, w.Connection.open(proxy.url()) as b:
        a.query("begin")
        status, body = proxy.reload(origin_connection_limit=2)
        assert status == 200, body
        assert b.value("select 1") == "1"
        a.query("commit")
        status, body = proxy.reload(origin_connection_limit=2, local={"query_timeout": "nonsense"})
        assert status >= 400
        assert a.value("select 1") == "1"
