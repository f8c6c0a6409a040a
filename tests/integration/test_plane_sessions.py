"""Session state over pooled connections: nothing leaks, what cannot be kept is refused with words."""

import psycopg
import pytest
from support import pgwire as w
from support.ports import wait_for
from support.postgres import Postgres
from support.proxy import Proxy


@pytest.fixture(scope="module")
def origin():
    with Postgres() as pg:
        pg.psql("create table t (k int primary key, v text); insert into t select n, 'v' || n from generate_series(1, 100) n; "
                "create role other; grant other to app; grant select on t to other")
        yield pg


@pytest.fixture(scope="module")
def proxy(origin):
    with Proxy(origin, origin_connection_limit=1) as p:
        yield p


@pytest.fixture(scope="module")
def pinning(origin):
    with Proxy(origin, origin_connection_limit=3, local={"session_features": "pin"}) as p:
        yield p


def connect(proxy, **parameters):
    return w.Connection.open(proxy.url(), **parameters)


def test_a_setting_is_lost_at_the_end_of_its_transaction_and_reaches_nobody(proxy):
    with connect(proxy) as a, connect(proxy) as b:
        default = b.value("show statement_timeout")
        a.query("begin")
        a.query("set statement_timeout = '7s'")
        assert a.value("show statement_timeout") == "7s"
        a.query("commit")
        assert b.value("show statement_timeout") == default
        a.query("set search_path = pg_catalog")
        assert b.value("show search_path") != "pg_catalog"
        assert a.value("show search_path") != "pg_catalog"
        a.query("select set_config('app.user', 'alice', false)")
        assert b.value("select current_setting('app.user', true)") in (None, "")
    assert proxy.stats()["lost"]["set"] >= 2


def test_a_role_reaches_nobody(proxy):
    with connect(proxy) as a, connect(proxy) as b:
        a.query("set role other")
        assert b.value("select current_user") == "app"
        a.query("begin; set role other")
        assert a.value("select current_user") == "other"
        a.query("rollback")
        assert b.value("select current_user") == "app"


def test_startup_settings_belong_to_the_session(proxy):
    with connect(proxy, TimeZone="Asia/Tokyo", options="-c statement_timeout=12s -c search_path=pg_catalog") as a, \
            connect(proxy, timezone="Europe/Paris") as b, connect(proxy) as c:
        assert a.parameters["TimeZone"] == "Asia/Tokyo" and b.parameters["TimeZone"] == "Europe/Paris"
        for _ in range(3):
            assert a.value("show timezone") == "Asia/Tokyo"
            assert a.value("show statement_timeout") == "12s"
            assert a.value("show search_path") == "pg_catalog"
            assert b.value("show timezone") == "Europe/Paris"
            assert b.value("show statement_timeout") == "0"
            assert c.value("show timezone") not in ("Asia/Tokyo", "Europe/Paris")
        a.query("reset all")
        assert a.value("show timezone") == "Asia/Tokyo"


def test_a_bad_startup_setting_is_the_origins_own_error(proxy):
    with pytest.raises(w.Refused) as refused:
        connect(proxy, TimeZone="Nowhere/Atall")
    assert refused.value.code == "22023"
    with connect(proxy) as c:
        assert c.value("select 1") == "1"


@pytest.mark.parametrize("sql", ["listen news", "prepare p as select 1", "create temp table tt (x int)",
                                 "select pg_advisory_lock(1)", "declare c cursor with hold for select 1"])
def test_what_needs_a_connection_of_its_own_is_refused(proxy, sql):
    with connect(proxy) as c:
        with pytest.raises(w.Refused) as refused:
            c.query(sql)
        assert refused.value.code == "58000" and "pin" in refused.value.fields["H"]
        assert c.value("select 1") == "1"
        c.send(w.parse("", sql), w.bind("", ""), w.execute(), w.SYNC)
        answer = c.until_ready()
        assert [k for k, _ in answer][-2:] == ["E", "Z"]
        assert w.error_fields(answer[-2][1])["C"] == "58000"
        assert c.value("select 1") == "1"


def test_a_refusal_fails_the_transaction(proxy):
    with connect(proxy) as c:
        c.query("begin")
        with pytest.raises(w.Refused):
            c.query("listen news")
        with pytest.raises(w.Refused) as refused:
            c.query("select 1")
        assert refused.value.code == "25P02"
        c.query("rollback")


def test_a_temporary_table_lives_in_its_transaction_and_is_gone_after_it(proxy):
    for _ in range(2):
        with connect(proxy) as c:
            c.query("begin")
            c.query("create temp table scratch (x int)")
            c.query("insert into scratch values (1)")
            assert c.value("select count(*) from scratch") == "1"
            c.query("commit")
            with pytest.raises(w.Refused) as refused:
                c.query("select * from scratch")
            assert refused.value.code == "42P01"


def test_advisory_locks_taken_in_a_transaction_end_with_it(origin, proxy):
    with connect(proxy) as c:
        c.query("begin")
        c.query("select pg_advisory_lock(77)")
        c.query("commit")
        assert c.value("select 1") == "1"
    assert origin.psql("select count(*) from pg_locks where locktype = 'advisory'").strip() == "0"


def test_clean_up_that_drivers_send_by_habit_works(proxy):
    with connect(proxy) as c:
        for sql in ("discard all", "reset all", "unlisten *", "close all", "deallocate all",
                    "select pg_advisory_unlock_all()",
                    "SELECT pg_advisory_unlock_all();CLOSE ALL;UNLISTEN *;RESET ALL;"):
            c.query(sql)
        c.send(w.parse("s", "select 1"), w.SYNC)
        c.until_ready()
        c.query("deallocate s")
        with pytest.raises(w.Refused) as refused:
            c.query("deallocate s")
        assert refused.value.code == "26000"
        c.query("begin")
        with pytest.raises(w.Refused) as refused:
            c.query("discard all")
        assert refused.value.code == "25001"
        c.query("rollback")


def test_pin_keeps_listen_temp_tables_and_locks_for_their_session(origin, pinning):
    with psycopg.connect(pinning.url(), autocommit=True) as a, connect(pinning) as b:
        a.execute("create temp table mine (x int)")
        a.execute("insert into mine values (1)")
        with pytest.raises(w.Refused) as refused:
            b.query("select * from mine")
        assert refused.value.code == "42P01"
        a.execute("listen news")
        b.query("notify news, 'hello'")
        assert next(a.notifies()).payload == "hello"
        a.execute("select pg_advisory_lock(5)")
        assert b.value("select pg_try_advisory_xact_lock(5)") == "f"
        a.execute("discard all")
        assert b.value("select pg_try_advisory_xact_lock(5)") == "t"
    pinning.wait_quiet()
    assert pinning.stats()["pins"]["temp_table"] >= 1
    assert origin.psql("select count(*) from pg_locks where locktype = 'advisory'").strip() == "0"


def test_pin_replays_tracked_settings_on_whatever_connection_comes(pinning):
    sessions = [connect(pinning) for _ in range(6)]
    try:
        for i, c in enumerate(sessions):
            c.query(f"set statement_timeout = '{i + 10}s'")
        for i, c in enumerate(sessions):
            c.query("begin; set statement_timeout = '99s'")
            c.query("rollback")
            assert c.value("show statement_timeout") == f"{i + 10}s"
        for c in sessions:
            c.query("reset statement_timeout")
            assert c.value("show statement_timeout") == "0"
    finally:
        for c in sessions:
            c.close()


@pytest.mark.parametrize("failing", ["set nonsense to 1", "set max_connections to 1", 'set "in-valid.x" to 1'])
def test_a_set_that_fails_harms_nobody_who_comes_after(proxy, failing):
    """What it would have set cannot be reset by name either."""
    with connect(proxy) as a, connect(proxy) as b:
        with pytest.raises(w.Refused):
            a.query(failing)
        assert b.value("select 1") == "1"
        assert a.value("select 2") == "2"


@pytest.mark.parametrize("policy", ["proxy", "pinning"])
def test_reset_all_leaves_the_role_and_the_role_reaches_nobody(policy, request):
    serving = request.getfixturevalue(policy)
    with connect(serving) as a, connect(serving) as b:
        a.query("begin; set role other; reset all")
        assert a.value("select current_user") == "other"
        a.query("commit")
        for _ in range(3):
            assert b.value("select current_user") == "app"
        assert a.value("select current_user") == ("app" if policy == "proxy" else "other")
        a.query("discard all")
        assert a.value("select current_user") == "app"
        a.query("begin; set role other; commit; reset all")
        assert b.value("select current_user") == "app"


def test_reset_all_and_discard_all_go_back_to_what_the_session_began_with(pinning):
    with connect(pinning, application_name="mine", TimeZone="Asia/Kolkata") as a:
        for clean in ("reset all", "discard all"):
            a.query("set timezone to 'Asia/Tokyo'; set intervalstyle to 'iso_8601'")
            a.send(w.query(clean), w.query("select 1"))
            first = [body for kind, body in a.until_ready() if kind == "S"]
            assert sorted(first) == [b"IntervalStyle\0postgres\0", b"TimeZone\0Asia/Kolkata\0"], clean
            assert not [body for kind, body in a.until_ready() if kind == "S"]
            assert a.value("show timezone") == "Asia/Kolkata"
            assert a.value("show application_name") == "mine"


def test_what_is_given_up_in_a_transaction_that_is_rolled_back_stays(origin, pinning):
    with connect(pinning) as a, connect(pinning) as b:
        a.query("listen kept; create temp table mine as select 1 as n")
        a.query("begin; unlisten *; discard temp")
        a.query("rollback")
        a.send(w.query("begin; unlisten *; discard temp; select 1 / 0"))
        a.until_ready()
        a.query("rollback")
        b.query("notify kept, 'heard'")
        kind, body = a.receive()
        assert (kind, body[4:]) == ("A", b"kept\0heard\0")
        assert a.value("select n from mine") == "1"
        assert pinning.stats()["idle"] < pinning.stats()["origin_connections"]
        a.query("begin; unlisten *; discard temp; commit")
        wait_for(lambda: pinning.stats()["idle"] == pinning.stats()["origin_connections"], what="it is given back")


def test_a_reset_all_that_is_rolled_back_reaches_nobody(pinning):
    with connect(pinning, options="-c statement_timeout=45s") as a, connect(pinning, options="-c statement_timeout=45s") as b:
        a.query("set statement_timeout to '55s'")
        a.query("begin")
        a.query("reset all")
        a.query("rollback")
        assert a.value("show statement_timeout") == "55s"
        for _ in range(3):
            assert b.value("show statement_timeout") == "45s"


def test_a_deallocate_that_an_error_before_it_skips_takes_no_name_away(proxy):
    with connect(proxy) as a:
        a.send(w.parse("kept", "select 5"), w.SYNC)
        a.until_ready()
        a.send(w.execute("missing"), w.parse("", "deallocate kept"), w.bind("", ""), w.execute(), w.SYNC)
        assert "E" in [kind for kind, _ in a.until_ready()]
        a.send(w.bind("", "kept"), w.execute(), w.SYNC)
        assert [kind for kind, _ in a.until_ready()] == ["2", "D", "C", "Z"]
        a.send(w.parse("", "deallocate kept"), w.bind("", ""), w.execute(), w.execute(), w.SYNC)
        answer = a.until_ready()
        assert [kind for kind, _ in answer] == ["1", "2", "C", "E", "Z"]
        assert w.error_fields(answer[3][1])["M"] == 'portal "" cannot be run'


def test_data_of_a_copy_does_not_wait_for_what_the_copy_has_not_answered(proxy):
    with connect(proxy) as a, connect(proxy) as b:
        a.query("create table copied (k int)")
        for _ in range(5):
            a.send(w.parse("", "copy copied from stdin"), w.bind("", ""), w.execute(), w.SYNC, w.copy_data(b"1\n"), w.COPY_DONE, w.SYNC)
            assert [kind for kind, _ in a.until_ready()] == ["1", "2", "G", "C", "Z"]
            assert b.value("select count(*) > 0 from copied") == "t"
        a.query("drop table copied")


def test_the_unnamed_statement_outlives_an_error_that_skipped_the_next_one(proxy):
    with connect(proxy) as a:
        a.query("begin")
        a.send(w.parse("", "delete from t where k = $1"), w.execute("missing"), w.parse("", "select 1"), w.SYNC)
        a.until_ready()
        a.send(w.describe("S"), w.SYNC)
        assert [kind for kind, _ in a.until_ready()] == ["t", "n", "Z"]
        a.query("rollback")


def test_names_prepared_behind_a_discard_all_in_its_pipeline_stay(pinning):
    with connect(pinning) as a:
        a.send(w.parse("b", "discard all"), w.bind("", "b"), w.execute(), w.parse("b", "select 5"), w.SYNC)
        assert [kind for kind, _ in a.until_ready()] == ["1", "2", "C", "1", "Z"]
        a.send(w.bind("", "b"), w.execute(), w.SYNC)
        assert [kind for kind, _ in a.until_ready()] == ["2", "D", "C", "Z"]


@pytest.mark.parametrize("policy", ["proxy", "pinning"])
@pytest.mark.parametrize("sql", ["deallocate missing", "deallocate all", "discard all"])
def test_a_clean_up_by_query_in_an_open_pipeline_is_answered(policy, sql, request):
    """What is before it is answered only when the origin is told to."""
    with connect(request.getfixturevalue(policy)) as a:
        a.send(w.parse("", "select 1"), w.bind("", ""), w.execute(), w.query(sql))
        answer = a.until_ready()
        assert [kind for kind, _ in answer[:4]] == ["1", "2", "D", "C"]
        assert answer[-2][0] == ("C" if sql == "deallocate all" else "E")
        assert a.value("select 'alive'") == "alive"


def test_a_clean_up_does_not_wait_for_the_settings_sent_ahead_of_it(origin):
    """Where each lease ends with a cleaning, as while the schema changes and cannot be read, it would wait for ever."""
    origin.psql("create or replace function unseen() returns int language plpgsql as $$ begin return 1; end $$")
    with Proxy(origin, origin_connection_limit=1) as p, connect(p, TimeZone="Asia/Tokyo") as a, connect(p) as b:
        for sql in ("deallocate missing", "deallocate all", "discard all"):
            for _ in range(3):
                b.query("select unseen()")
                a.send(w.query("select unseen()"), w.query(sql), w.query("select 'alive'"))
                kinds = ["".join(kind for kind, _ in a.until_ready() if kind not in "S") for _ in range(3)]
                assert kinds == ["TDCZ", "EZ" if sql == "deallocate missing" else "CZ", "TDCZ"]


@pytest.mark.parametrize("policy", ["hyperdrive", "pin"])
@pytest.mark.parametrize("asked", ["SQL", "ISO", "Postgres", "DMY", "German", "iso, mdy", "default"])
def test_a_date_style_in_part_is_completed_by_the_default_and_not_by_who_was_there_before(origin, policy, asked):
    with Proxy(origin, origin_connection_limit=1, local={"session_features": policy}) as p:
        with w.Connection.open(origin.url(), DateStyle=asked) as direct:
            expected = direct.value("show datestyle"), direct.value("select '01/02/2020'::date - '2020-01-01'::date")
        for before in ("German, YMD", "SQL, DMY", "ISO"):
            with connect(p, DateStyle=before) as other, connect(p, DateStyle=asked) as c:
                assert other.value("select 1") == "1"
                assert (c.value("show datestyle"), c.value("select '01/02/2020'::date - '2020-01-01'::date")) == expected
                # Likewise where its settings are sent again in the midst of a transaction.
                other.value("select 1")
                c.query("begin")
                c.query("set datestyle to 'SQL, YMD'")
                c.query("reset datestyle")
                assert c.value("show datestyle") == expected[0]
                c.query("rollback")


@pytest.mark.parametrize("started", [None, "SQL", "German, YMD"])
@pytest.mark.parametrize("steps", [
    ["set datestyle = 'SQL, DMY'", "set datestyle = 'ISO'"],
    ["set datestyle = 'DMY'", "begin", "set datestyle = 'German'", "savepoint a", "set datestyle = 'Postgres, MDY'", "rollback to a", "commit"],
    ["begin", "set local datestyle = 'Postgres, DMY'", "set datestyle = 'SQL'", "commit"],
    ["set datestyle = 'SQL, DMY'", "reset datestyle", "set datestyle = 'SQL'"],
    ["set datestyle = 'SQL, DMY'", "reset all", "set datestyle = 'Postgres'"],
    ["set datestyle = 'SQL, DMY'", "set datestyle = 'YMD'; reset datestyle", "set datestyle = 'Postgres'"],
    ["set datestyle = 'SQL, DMY'", "discard all", "set datestyle = 'YMD'"],
    ["select set_config('datestyle', 'DMY', false)", "select set_config('datestyle', 'SQL', false)", "begin", "set datestyle = 'ISO, MDY'", "rollback"],
])
def test_a_date_style_set_in_part_is_the_same_whenever_it_is_set_again(origin, steps, started):
    begins = {"DateStyle": started} if started else {}
    with Proxy(origin, origin_connection_limit=1, local={"session_features": "pin"}) as p:
        with w.Connection.open(origin.url(), **begins) as direct, connect(p, **begins) as c, connect(p, DateStyle="SQL, YMD") as other:
            other.value("select 1")
            for sql in steps:
                direct.query(sql)
                c.query(sql)
            assert c.value("show datestyle") == direct.value("show datestyle")
            other.value("select 1")
            assert c.value("show datestyle") == direct.value("show datestyle")
