"""A text means what its own session's settings make of it, whoever prepared the same text before.

Parse decides what names and literals are, so a prepared statement may be shared only among sessions that read alike; and
what the proxy says to bring a session's settings back must mean the same under every client's encoding.
"""

import pytest
from support import pgwire as w
from support.ports import wait_for
from support.postgres import Postgres
from support.proxy import Proxy


@pytest.fixture(scope="module")
def origin():
    with Postgres() as pg:
        pg.psql("create table t (k int, v text); insert into t values (1, null);"
                'create schema "schéma"; create table "schéma".who as select \'schema\'::text as x;'
                "create table who as select 'public'::text as x; create schema other; create table other.who as select 'other'::text as x;"
                "create function hide(n text, v text) returns text language plpgsql as $$ begin return set_config(n, v, false); end $$")
        yield pg


@pytest.fixture(scope="module", params=["hyperdrive", "pin", "cached"])
def proxy(origin, request):
    cached = request.param == "cached"  # one connection more, which asks for the catalogs
    with Proxy(origin, origin_connection_limit=1 + cached, caching={"disabled": not cached},
               local={"session_features": "pin" if request.param == "pin" else "hyperdrive"}) as p:
        p.wait_known()
        yield p


def prepared(c, sql):
    """The rows of `sql`, or its error's code, through a named statement that is new to the client."""
    c.named = getattr(c, "named", 0) + 1
    c.send(w.parse(f"s{c.named}", sql) + w.describe("S", f"s{c.named}") + w.bind("", f"s{c.named}") + w.execute() + w.SYNC)
    return again(c.until_ready())


def bound(c, name):
    c.send(w.bind("", name) + w.execute() + w.SYNC)
    return again(c.until_ready())


def again(messages):
    return [w.data_row(body) if kind == "D" else w.error_fields(body)["C"] for kind, body in messages if kind in "DE"]


READINGS = [
    ({"TimeZone": "UTC"}, {"TimeZone": "Asia/Tokyo"}, "select '2020-01-01 00:00'::timestamptz = '2020-01-01 00:00+00'::timestamptz"),
    ({"DateStyle": "ISO, MDY"}, {"DateStyle": "ISO, DMY"}, "select extract(day from '01/02/2020'::date)"),
    ({"IntervalStyle": "postgres"}, {"IntervalStyle": "sql_standard"}, "select '-1 2:00'::interval = '-1 day -2 hours'::interval"),
    ({"client_encoding": "UTF8"}, {"client_encoding": "LATIN1"}, "select length('é')"),
    ({}, {"standard_conforming_strings": "off"}, "select 'a\\\\b'"),
    ({}, {"transform_null_equals": "on"}, "select count(*) from t where v = null"),
    ({}, {"options": "-c array_nulls=off"}, "select ('{NULL}'::text[])[1] is null"),
    ({}, {"options": "-c xmloption=document"}, "select '<a/><b/>'::xml is document"),
    ({}, {"options": "-c bytea_output=escape"}, "select '\\x41'::bytea::text"),
    ({}, {"options": "-c extra_float_digits=-3"}, "select (1::float8 / 3)::text"),
    ({}, {"options": "-c search_path=other"}, "select 'who'::regclass = 'public.who'::regclass"),
]


@pytest.mark.parametrize("one, another, sql", READINGS, ids=lambda p: ",".join(p) if isinstance(p, dict) else "")
def test_a_statement_is_what_each_sessions_settings_make_of_it(origin, proxy, one, another, sql):
    with w.Connection.open(origin.url(), **one) as a, w.Connection.open(origin.url(), **another) as b:
        expected = prepared(a, sql), prepared(b, sql)
    assert expected[0] != expected[1]
    with w.Connection.open(proxy.url(), **one) as a, w.Connection.open(proxy.url(), **another) as b:
        for _ in range(2):
            assert (prepared(a, sql), prepared(b, sql)) == expected


LITERAL = "select 'a\\\\b'"
OFF, ON = [[b"a\\b"]], [[b"a\\\\b"]]


@pytest.mark.parametrize("change", ["set local standard_conforming_strings = off", "set standard_conforming_strings = off",
                                    "select set_config('standard_conforming_strings', 'off', true)",
                                    "select hide('standard_conforming_strings', 'off')"])
@pytest.mark.parametrize("known_before", [False, True], ids=["unknown", "known"])
def test_what_a_transaction_sets_is_read_by_it_alone(proxy, change, known_before):
    sql = f"{LITERAL} --{change}, {known_before}"
    with w.Connection.open(proxy.url()) as a, w.Connection.open(proxy.url()) as b:
        if known_before:
            assert prepared(b, sql) == ON
        a.query("begin")
        a.query(change)
        assert prepared(a, sql) == OFF
        a.query("rollback")
        assert prepared(b, sql) == ON
        if known_before:
            assert bound(b, "s1") == ON
        assert prepared(a, sql) == ON


def test_a_savepoint_takes_back_how_texts_are_read(proxy):
    sql = LITERAL + " -- savepoint"
    with w.Connection.open(proxy.url()) as a, w.Connection.open(proxy.url()) as b:
        for undo, expected in (("", OFF), ("rollback to s", ON)):
            for c in (a, b):
                c.query("begin; savepoint s")
                c.query("set local standard_conforming_strings = off")
                if undo:
                    c.query(undo)
                assert prepared(c, sql) == expected
                c.query("commit")
        assert prepared(a, sql) == ON


def test_a_name_from_another_search_path_takes_nothing_from_others(origin, proxy):
    """The statement is read anew where it is missing, for the one whose path differs."""
    sql = "select x from who"
    with w.Connection.open(proxy.url()) as a, w.Connection.open(proxy.url()) as b:
        a.query("begin; set local search_path = other")
        assert prepared(a, sql) == [[b"other"]]
        a.query("commit")
        assert prepared(b, sql) == [[b"public"]]
        origin.psql("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'app' and query !~ 'pg_catalog'")
        wait_for(lambda: proxy.stats()["idle"] == 0, what="the dead connection to be noticed")
        a.query("begin; set local search_path = other")
        assert bound(a, "s1") == [[b"other"]]
        a.query("commit")
        assert bound(b, "s1") == [[b"public"]] and bound(a, "s1") == [[b"public"]]


def test_settings_come_back_whole_whatever_the_encoding_of_the_client_before(proxy):
    with w.Connection.open(proxy.url(), options='-csearch_path="schéma",public') as a, \
            w.Connection.open(proxy.url(), client_encoding="LATIN1") as b, w.Connection.open(proxy.url(), client_encoding="SJIS") as c:
        for _ in range(2):
            for before in (b, c):
                assert before.value("select 1") == "1"
                assert a.value("select x from who") == "schema"
                assert a.value("show search_path") == '"schéma",public'


@pytest.mark.parametrize("name", [b"caf\xe9", "café ☕".encode()])
def test_a_name_that_is_not_ascii_is_cleaned_as_postgres_does(origin, proxy, name, monkeypatch):
    monkeypatch.setattr(w, "text", lambda v, plain=w.text: plain(name if v == "the name" else v))
    found = []
    for side in (origin, proxy):
        with w.Connection.open(side.url(), application_name="the name") as c:
            found.append((c.parameters["application_name"], c.value("show application_name")))
    assert found[0] == found[1] and found[0][0].isascii()


def test_a_client_without_a_name_is_told_its_own_and_not_anothers(proxy):
    with w.Connection.open(proxy.url(), application_name="alice", TimeZone="Asia/Tokyo") as a, \
            w.Connection.open(proxy.url(), TimeZone="Asia/Tokyo") as b:
        assert (a.parameters["application_name"], b.parameters["application_name"]) == ("alice", "Hyperdrive")
        assert (a.value("show application_name"), b.value("show application_name")) == ("alice", "Hyperdrive")


def test_a_set_in_another_encoding_is_kept_by_its_own_connection_alone(proxy):
    if proxy.document["config"]["local"]["session_features"] != "pin":
        pytest.skip("SET is lost")
    with w.Connection.open(proxy.url(), client_encoding="LATIN1") as a:
        a.send(w.message(b"Q", w.text('set search_path = "schéma", public'.encode("latin1"))))
        a.until_ready()
        assert a.value("select x from who") == "schema"
    with w.Connection.open(proxy.url()) as b:
        assert b.value("select x from who") == "public"
