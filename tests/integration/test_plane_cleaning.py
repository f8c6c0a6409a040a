"""What a client leaves behind is gone before another gets its connection, also when removing it goes wrong; and nobody
waits for connections that do not come while others rest."""

import threading
import time

import pytest

from support import pgwire as w
from support.holding import HoldingRelay
from support.ports import wait_for
from support.postgres import Postgres
from support.proxy import Proxy

PIN = {"session_features": "pin"}


@pytest.fixture(scope="module")
def pg():
    with Postgres() as server:
        yield server


def test_cleaning_waits_until_a_cancel_can_hit_it_no_more(pg):
    with HoldingRelay(pg.port) as relay, Proxy(pg, port=relay.port, origin_connection_limit=1, local=PIN) as proxy:
        client = w.Connection.open(proxy.url())
        client.query("select pg_advisory_lock(7)")
        relay.hold_cancels = True
        client.send(w.query("select pg_sleep(0.4)"))
        cancels = threading.Thread(target=client.cancel)
        cancels.start()
        wait_for(lambda: relay.held == 1, 10, "the cancel is on its way")
        client.until_ready()
        client.close()
        wait_for(lambda: proxy.stats()["clients"] <= 1, 10, "the client is gone")
        until = time.monotonic() + 0.3
        while time.monotonic() < until:
            assert not relay.sent(b"pg_advisory_unlock_all")
            time.sleep(0.02)
        relay.release()
        cancels.join()
        wait_for(lambda: relay.sent(b"pg_advisory_unlock_all"), 10, "the lock's removal")
        proxy.wait_quiet()
        with w.Connection.open(proxy.url()) as other:
            assert other.value("select count(*) from pg_locks where locktype = 'advisory'") == "0"


def test_a_connection_whose_cleaning_fails_is_not_used_again(pg):
    with Proxy(pg, origin_connection_limit=1, local=PIN) as proxy, w.Connection.open(pg.url()) as direct:
        with w.Connection.open(proxy.url()) as client:
            pid = client.value("select pg_backend_pid()")
            client.query("create temp table secret as select 's3cret' as v")
            schema = client.value("select nspname from pg_namespace where oid = pg_my_temp_schema()")
            direct.query(f"begin; lock table {schema}.secret in access share mode")
        waits = f"select count(*) from pg_stat_activity where pid = {pid} and wait_event_type = 'Lock'"
        wait_for(lambda: direct.value(waits) == "1", 10, "cleaning waits for the table")
        direct.query(f"select pg_cancel_backend({pid})")
        proxy.wait_quiet()
        direct.query("rollback")
        with w.Connection.open(proxy.url()) as other:
            assert other.value("select to_regclass('secret')") is None
            assert other.value("select pg_backend_pid()") != pid


@pytest.mark.parametrize("policy", ["pin", "hyperdrive"])
def test_a_short_statement_timeout_goes_before_the_next_clients_settings_come(pg, policy):
    with Proxy(pg, origin_connection_limit=1, local={"session_features": policy}) as proxy:
        def last_after_a_client():
            with w.Connection.open(proxy.url(), options="-c statement_timeout=1500") as client:
                pid = client.value("select pg_backend_pid()")
            proxy.wait_quiet()
            return pg.psql(f"select query from pg_stat_activity where pid = {pid}")

        # Until the catalogs are known, everything is reset.
        wait_for(lambda: "RESET statement_timeout" in last_after_a_client())
        with w.Connection.open(proxy.url()) as other:
            assert other.value("show statement_timeout") == "0"


def test_deallocate_all_among_other_statements_takes_nobodys_statements_away(pg):
    with Proxy(pg, origin_connection_limit=1) as proxy:
        with w.Connection.open(proxy.url()) as one, w.Connection.open(proxy.url()) as two:
            run = [w.parse("named", "select 41 + $1::int"), w.bind("", "named", [1]), w.execute(), w.SYNC]
            for client in (one, two):
                client.send(*run)
                assert not [b for k, b in client.until_ready() if k == "E"]
            one.query("select 1; deallocate all; select 2")
            two.send(*run[1:])
            assert [w.data_row(b) for k, b in two.until_ready() if k in "DE"] == [[b"42"]]
            one.send(*run)
            assert [w.data_row(b) for k, b in one.until_ready() if k in "DE"] == [[b"42"]]


def test_a_connection_that_has_lost_its_statements_is_replaced(pg):
    pg.psql("create or replace function forget() returns int language plpgsql as"
            " $$ begin execute 'deallocate all'; return 1; end $$", database=pg.database)
    with Proxy(pg, origin_connection_limit=1) as proxy:
        proxy.wait_known()  # a change of catalogs takes the statements away itself
        with w.Connection.open(proxy.url()) as client:
            run = [w.bind("", "named", [1]), w.execute(), w.SYNC]
            client.send(w.parse("named", "select 41 + $1::int"), *run)
            client.until_ready()
            # Bound in one group with what the function drops: the origin says 26000.
            client.send(w.parse("", "select forget()"), w.bind("", ""), w.execute(), *run)
            assert "26000" in [w.error_fields(b)["C"] for k, b in client.until_ready() if k == "E"]
            client.send(*run)
            assert [w.data_row(b) for k, b in client.until_ready() if k in "DE"] == [[b"42"]]


def test_a_login_that_seeks_a_connection_of_its_own_delays_nobody(pg):
    with HoldingRelay(pg.port) as relay, Proxy(pg, port=relay.port, origin_connection_limit=5, local=PIN) as proxy:
        first = w.Connection.open(proxy.url())
        assert first.value("select 1") == "1"
        relay.hold_new = True
        second = []
        login = threading.Thread(target=lambda: second.append(w.Connection.open(proxy.url())))
        login.start()
        wait_for(lambda: relay.held == 1, 10, "a connection for the second session is being opened")
        begin = time.monotonic()
        assert first.value("select 2") == "2"
        login.join()
        # By the pool's own time, 15 s, neither would have come.
        assert time.monotonic() - begin < 12
        assert second[0].value("select 3") == "3"
        second[0].close()
        first.close()
