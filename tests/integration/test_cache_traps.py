"""What is built to deceive the cache: state that functions hide in a connection, defaults that are not what they seem."""

import json

import pytest

from support.pgwire import SYNC, Connection, bind, execute, parse, query
from support.ports import wait_for
from support.postgres import Postgres
from support.proxy import Proxy

READ = "select v from trap where id = 1"
STATE = """select current_setting('search_path'), current_user, current_setting('bytea_output'),
           to_regclass('pg_temp.trap') is null"""


@pytest.fixture(scope="module")
def pg():
    with Postgres() as pg:
        pg.psql("""create table trap (id int, v text); insert into trap values (1, 'right');
                   create schema s2; create table s2.trap (id int, v text); insert into s2.trap values (1, 'wrong');
                   create role other; grant app to other;
                   create function hide(n text, v text) returns text language plpgsql
                     as $$ begin return set_config(n, v, false); end $$;
                   create function shadow() returns int language plpgsql
                     as $$ begin create temp table trap as select 1 as id, 'wrong'::text as v; return 1; end $$;
                   create function seed() returns int language plpgsql as $$ begin perform setseed(0.5); return 1; end $$;
                   create table touched (x int);
                   create function touch() returns trigger language plpgsql
                     as $$ begin perform set_config('search_path', 's2', false); return new; end $$;
                   create trigger touch before insert on touched for each row execute function touch();
                   create view hiding as select set_config('search_path', 's2', false);
                   create function dated(d date default current_date) returns text language sql immutable
                     as $$ select d::text $$;
                   create table changing (id int, x text default set_config('search_path', 's2', false));
                   create table checked (id int check (set_config('search_path', 's2', false) is not null));
                   create domain changed as text check (set_config('search_path', 's2', false) is not null);
                   create extension hstore; create type one_day as (day date);
                   create table words (v text); insert into words values ('today');""")
        yield pg


def proxy(pg, features="hyperdrive"):
    return Proxy(pg, caching={"disabled": False}, origin_connection_limit=1,
                 local={"invalidation": "writes", "session_features": features})


def run(c, sql, extended):
    c.send(*((parse("", sql), bind("", ""), execute(), SYNC) if extended else (query(sql),)))
    assert not [kind for kind, _ in c.until_ready() if kind == "E"], sql


@pytest.mark.parametrize("features", ["hyperdrive", "pin"])
@pytest.mark.parametrize("extended", [False, True])
@pytest.mark.parametrize("trap", [
    "select hide('search_path', 's2')", "select hide('role', 'other')", "select hide('bytea_output', 'escape')",
    "insert into touched values (1)", "select * from hiding", "select shadow()",
    "update pg_settings set setting = 's2' where name = 'search_path'"])
def test_what_a_function_leaves_in_a_connection_reaches_nobody_else(pg, shared, trap, extended, features):
    p = shared(features)
    with Connection.open(p.url()) as other:
        before = other.query(STATE)
        with Connection.open(p.url()) as c:
            run(c, trap, extended)
        assert other.query(STATE) == before
        assert p.admin("POST", "/v1/purge", '{"all": true}')[0] == 200
        assert other.value(READ) == "right"


@pytest.fixture(scope="module")
def shared(pg):
    started = {}

    def start(features):
        if features not in started:
            started[features] = proxy(pg, features)
            started[features].start()
        return started[features]
    yield start
    for p in started.values():
        p.__exit__(None, None, None)


@pytest.mark.parametrize("trap", ["select setseed(0.5)", "select seed()", "do $$ begin perform setseed(0.5); end $$",
                                  "set seed = 0.5", "select set_config('seed', '0.5', false)"])
def test_one_clients_seed_does_not_tell_anothers_random_numbers(pg, shared, trap):
    p = shared("hyperdrive")
    seen = set()
    with Connection.open(p.url()) as other:
        for _ in range(2):
            with Connection.open(p.url()) as c:
                run(c, trap, False)
            seen.add(other.value("select random()"))
    assert len(seen) == 2, seen


def test_an_immutable_functions_default_is_not_immutable(pg):
    with proxy(pg) as p, Connection.open(p.url()) as c:
        given, default = "select dated('2026-01-01'::date)", "select dated()"

        def hit(sql):
            before = p.stats()["cache"]["hit"]
            c.query(sql)
            return p.stats()["cache"]["hit"] > before
        wait_for(lambda: hit(given), 10, "the function's answer is cached")
        assert not hit(default) and not hit(default)


def test_a_word_for_the_present_in_a_binary_text_parameter_is_seen(pg):
    with proxy(pg) as p, Connection.open(p.url()) as c:
        def ask(word):
            c.send(parse("", "select $1::timestamptz", (25,)), bind("", "", [word], (1,)), execute(), SYNC)
            return [body for kind, body in c.until_ready() if kind == "D"][0]
        wait_for(lambda: (ask("2026-01-01"), p.stats()["cache"]["hit"])[1] > 0, 10, "a text that is none is cached")
        assert ask("now") != ask("now")
        assert ask(" NOW ") != ask(" NOW ")


@pytest.mark.parametrize("trap", [
    "insert into changing (id) values (1)", "insert into checked values (1)", "select 'x'::changed",
    "with w as (insert into changing (id) values (2) returning 1) select 1", "copy changing (id) from program 'echo 3'"])
def test_what_a_default_or_check_leaves_in_a_connection_reaches_nobody_else(pg, shared, trap):
    p = shared("hyperdrive")
    with Connection.open(p.url()) as other, Connection.open(p.url()) as c:
        before = other.query(STATE)
        run(c, trap, False)
        assert other.query(STATE) == before


def hits(p, ask):
    before = p.stats()["cache"]["hit"]
    ask()
    return p.stats()["cache"]["hit"] - before


def test_a_record_filled_from_a_text_may_read_the_present(pg):
    with proxy(pg) as p, Connection.open(p.url()) as c:
        wait_for(lambda: hits(p, lambda: c.query("select id from trap")), 10, "the catalogs are known")
        filled = "select (row(null)::one_day #= hstore('day', v)).day from words"
        assert not hits(p, lambda: (c.query(filled), c.query(filled)))


def test_where_a_cast_reads_the_present_unnamed_nothing_is_kept(pg):
    with proxy(pg) as p, Connection.open(p.url()) as c:
        compared = "select v from words where day = v"
        c.query("alter table words add day date")
        wait_for(lambda: hits(p, lambda: c.query("select id from trap")), 10, "the catalogs are known")
        c.query("create cast (text as date) with inout as implicit")
        try:
            wait_for(lambda: "unnamed" in p.admin("POST", "/v1/explain", '{"sql": "select 1"}')[1], 10, "the cast is known")
            assert not hits(p, lambda: (c.query(compared), c.query(compared)))
        finally:
            c.query("drop cast (text as date); alter table words drop day")


def test_a_function_is_doubted_as_soon_as_there_is_a_table_that_its_source_names(pg):
    """What functions are made of is not read again for every change of the schema: only where a name is new."""
    pg.psql("set check_function_bodies = off; create function peek() returns bigint immutable language sql as 'table later_on'")
    with proxy(pg) as p, Connection.open(p.url()) as c:
        def status():
            return json.loads(p.admin("POST", "/v1/explain", '{"sql": "select peek()"}')[1])["status"]
        wait_for(lambda: status() == "miss", 10, "nothing speaks against it")
        for ddl, expected in (("create table unrelated (x int)", "miss"), ("create table later_on as select 1::bigint", "volatile"),
                              ("create table unrelated_too (x int)", "volatile")):
            c.query(ddl)
            wait_for(lambda: hits(p, lambda: c.query("select id from trap")), 10, "the catalogs have been read again")
            assert status() == expected, ddl


def test_a_write_to_a_foreign_table_may_be_one_to_our_own(pg):
    pg.psql(f"""create extension postgres_fdw; create table near (v int); insert into near values (1);
                create server here foreign data wrapper postgres_fdw options (host '{pg.folder}', port '{pg.port}', dbname 'shop');
                create user mapping for public server here options (user 'app', password 'app-secret');
                create foreign table far (v int) server here options (table_name 'near')""")
    with proxy(pg) as p, Connection.open(p.url()) as c:
        for v in range(2, 5):
            wait_for(lambda: hits(p, lambda: c.query("select v from near")), 10, "it is cached")
            c.query(f"update far set v = {v}")
            assert c.value("select v from near") == str(v)


def test_settings_that_are_read_again_make_names_mean_something_else(pg):
    with proxy(pg) as p, Connection.open(p.url()) as c:
        wait_for(lambda: hits(p, lambda: c.query(READ)), 10, "it is cached")
        assert c.value(READ) == "right"
        try:
            pg.psql("alter system set search_path = 's2'")
            c.query("select pg_reload_conf()")
            wait_for(lambda: c.value("select current_setting('search_path')") == "s2", 10, "the server has read it")
            wait_for(lambda: c.value(READ) == "wrong", 10, "the other table is read")
        finally:
            pg.psql("alter system reset search_path")
            pg.psql("select pg_reload_conf()")


def group(*messages):
    return lambda c: (c.send(*messages, SYNC), c.until_ready())


def text(sql):
    return lambda c: (c.send(query(sql)), c.until_ready())


@pytest.mark.parametrize("act", [
    group(parse("", "select promised(1)"), bind("", "")), group(parse("", "select * from trap where id = read_only(1)"), bind("", "")),
    text("explain select promised(1)"), text("explain select * from trap where id = read_only(1)"), text("analyze indexed"),
    text("reindex table indexed")], ids=["bind", "bind-stable", "explain", "explain-stable", "analyze", "reindex"])
def test_planning_writes_where_functions_do_not_keep_their_promise(pg, writers, act):
    p = writers
    with Connection.open(p.url()) as c:
        wait_for(lambda: hits(p, lambda: c.query("select count(*) from noted")), 10, "it is cached")
        before = int(c.value("select count(*) from noted"))
        with Connection.open(p.url()) as other:
            act(other)
        assert int(pg.psql("select count(*) from noted")) > before, "it proves nothing"
        assert int(c.value("select count(*) from noted")) == int(pg.psql("select count(*) from noted"))


@pytest.fixture(scope="module")
def writers(pg):
    pg.psql("""create table noted (v int); alter table noted owner to app;
               create function note(int) returns int language plpgsql as 'begin insert into noted values ($1); return $1; end';
               create function promised(int) returns int language sql immutable as 'select note($1)';
               create function read_only(int) returns int language sql stable as 'select note($1)';
               create table indexed (id int); insert into indexed values (1); create index on indexed (promised(id))""")
    with proxy(pg) as p:
        yield p
