"""State that code at the origin hides in a connection reaches nobody else, whatever the cache is set to.

A function, trigger, rule, view, default, policy or event trigger may SET, take a lock, LISTEN, make a temporary table,
PREPARE. The proxy reads none of it in the statement's text; it has to know from the catalogs, or clean.
"""

import socket
import struct

import pytest

from support.pgwire import COPY_DONE, SYNC, Connection, bind, copy_data, describe, execute, message, parse, query
from support.ports import wait_for
from support.postgres import Postgres
from support.proxy import Proxy

# What another client sees of its connection.
STATE = """select current_setting('search_path'), current_user, session_user, current_setting('bytea_output'),
  current_setting('lock_timeout'), coalesce(current_setting('app.tenant', true), ''),
  to_regclass('pg_temp.trap') is null, (select count(*) from pg_listening_channels()),
  (select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()),
  (select count(*) from pg_cursors where is_holdable), (select count(*) from pg_prepared_statements where from_sql)"""

SCHEMA = """
create table trap (id int, v text); insert into trap values (1, 'right');
create schema s2; create table s2.trap (id int, v text); insert into s2.trap values (1, 'wrong');
create role other; grant other to app;
create function hide(n text, v text) returns text language plpgsql as $$ begin return set_config(n, v, false); end $$;
create function secured(n text, v text) returns text language plpgsql security definer
  as $$ begin return set_config(n, v, false); end $$;
create function from_current() returns text language plpgsql set bytea_output from current
  as $$ begin return set_config('search_path', 's2', false); end $$;
create function lying() returns text language plpgsql immutable
  as $$ begin return set_config('search_path', 's2', false); end $$;
create function dynamic(what text) returns int language plpgsql as $$ begin execute what; return 1; end $$;
create table touched (x int);
create function touch() returns trigger language plpgsql
  as $$ begin perform set_config('search_path', 's2', false); return new; end $$;
create trigger touch before insert or update or delete on touched for each row execute function touch();
insert into touched select 0; reset search_path;
create table truncated (x int);
create function truncating() returns trigger language plpgsql
  as $$ begin perform set_config('search_path', 's2', false); return null; end $$;
create trigger truncating after truncate on truncated execute function truncating();
create view hiding as select set_config('search_path', 's2', false);
create view above_hiding as select * from hiding;
create function through() returns text language sql stable as 'select * from public.hiding';
create function xml_through() returns xml language sql stable
  as $$ select table_to_xml('public.hiding', true, true, '') $$;
create view calling as select hide('search_path', 's2');
create function through_calling() returns text language plpgsql stable as $$ begin return (select * from public.calling); end $$;
create view of_settings as select * from pg_settings;
create table ruled (x int);
create rule ruled as on insert to ruled do also select set_config('search_path', 's2', false);
create table by_default (x text default set_config('search_path', 's2', false), y int);
create table checked (x int check (hide('search_path', 's2') is not null));
create domain wary as text check (hide('search_path', 's2') is not null);
create table indexed (x text); insert into indexed values ('a');
create function slow_index(x text) returns text language plpgsql immutable
  as $$ begin perform pg_advisory_lock(77); return x; end $$;
create index indexed_x on indexed (slow_index(x));
create operator === (leftarg = text, rightarg = text, function = hide);
create function to_money(x text) returns s2.trap language plpgsql
  as $$ begin perform set_config('search_path', 's2', false); return null; end $$;
create cast (text as s2.trap) with function to_money(text);
create function step(a text, x text) returns text language plpgsql as $$ begin return set_config('search_path', 's2', false); end $$;
create aggregate stepping(text) (sfunc = step, stype = text, initcond = '');
create procedure proceed() language plpgsql as $$ begin set search_path = s2; end $$;
create table parts (k int) partition by list (k);
create table part_1 partition of parts for values in (1);
create trigger touch before insert on part_1 for each row execute function touch();
create table parent (id int primary key);
create table child (id int references parent on delete cascade);
create trigger touch before delete on child for each row execute function touch();
insert into parent values (1); insert into child values (1);
"""

DYNAMIC = {"temporary": "create temp table trap as select 1 as id, 'wrong'::text as v", "listen": "listen news",
           "prepare": "prepare left_behind as select 1", "lock": "select pg_advisory_lock(99)",
           "set": "set lock_timeout = '7s'", "role": "set role other", "session": "set session authorization other",
           "custom": "set app.tenant = 'mine'", "cursor": "declare held cursor with hold for select 1"}

def literal(text):
    return "'" + text.replace("'", "''") + "'"


TRAPS = [
    "select hide('search_path', 's2')", "select hide('role', 'other')", "select secured('lock_timeout', '7s')",
    "select from_current()", "select lying()", "explain select lying()", "select 1 where lying() is null",
    "insert into touched values (1)", "update touched set x = x", "with w as (insert into touched values (2) returning x) select x from w",
    "truncate truncated", "select * from hiding", "select * from above_hiding",
    "select through()", "select xml_through()", "select through_calling()",
    "update pg_settings set setting = 's2' where name = 'search_path'",
    "update of_settings set setting = 's2' where name = 'search_path'",
    "insert into ruled values (1)", "insert into by_default (y) values (1)", "insert into checked values (1)",
    "select 'x'::wary", "select 'lock_timeout'::text operator(public.===) '7s'::text",
    "select 'x'::text::s2.trap", "select stepping(v) from trap", "call proceed()",
    "do $$ begin perform set_config('search_path', 's2', false); end $$",
    "do $$ begin perform hide('search_path', 's2'); end $$",
    "insert into parts values (1)", "delete from parent",
    "select query_to_xml('select set' || '_config(''search_path'', ''s2'', false)', true, true, '')",
    "select * from ts_stat('select to_tsvector(set' || '_config(''search_path'', ''s2'', false))')",
    "insert into indexed values ('b')", "analyze indexed", "reindex table indexed",
    "create table made_by_me as select hide('search_path', 's2')", "drop table if exists made_by_me",
    "copy (select hide('search_path', 's2')) to stdout",
    "select U&\"h\\0069de\"('search_path', 's2')",
] + [f"select dynamic({literal(what)})" for what in DYNAMIC.values()]

MODES = {
    "disabled": ({"disabled": True}, {}),
    "max_age 0": ({"disabled": False, "max_age": 0}, {"invalidation": "writes"}),
    "none": ({"disabled": False}, {"invalidation": "none"}),
    "writes": ({"disabled": False}, {"invalidation": "writes"}),
    "replication": ({"disabled": False}, {"invalidation": "replication"}),
}


@pytest.fixture(scope="module")
def pg():
    with Postgres(settings={"wal_level": "logical"}) as pg:
        pg.psql(SCHEMA)
        yield pg


@pytest.fixture(scope="module", params=[(mode, features) for mode in MODES for features in ("hyperdrive", "pin")],
                ids=lambda p: f"{p[0]}-{p[1]}".replace(" ", "_"))
def proxy(pg, request):
    caching, local = MODES[request.param[0]]
    with Proxy(pg, caching=caching, origin_connection_limit=1, local=local | {"session_features": request.param[1]}) as p:
        yield p


def simple(c, sql):
    c.send(query(sql))
    return c.until_ready()


def extended(c, sql):
    c.send(parse("", sql), bind("", ""), execute(), SYNC)
    return c.until_ready()


def named(c, sql):
    c.send(parse("mine", sql), describe("S", "mine"), SYNC)
    c.until_ready()
    c.send(bind("", "mine"), describe("P"), execute(), SYNC)
    return c.until_ready()


def in_a_transaction(c, sql):
    return simple(c, "begin") + simple(c, sql) + simple(c, "commit")


def trapped(pg, p, run, sql):
    """What the next client finds otherwise than before."""
    with Connection.open(p.url()) as other:
        before = other.query(STATE)
        with Connection.open(p.url()) as c:
            failed = [body for kind, body in run(c, sql) if kind == "E"]
        after = other.query(STATE)
        if failed:
            return [(run.__name__, sql, failed)]
        if after == before:
            return []
    # Not to be found again by the next one.
    pg.psql("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'app' and pid <> pg_backend_pid()")
    return [(run.__name__, sql, before, after)]


@pytest.mark.parametrize("run", [simple, extended, named, in_a_transaction])
def test_what_code_leaves_in_a_connection_reaches_nobody_else(pg, proxy, run):
    found = []
    for sql in TRAPS:
        found += trapped(pg, proxy, run, sql)
    assert not found, "\n".join(map(str, found))


def bound_only(c, sql):
    c.send(parse("", sql), bind("", ""), SYNC)
    return c.until_ready()


def rolled_back(c, sql):
    return simple(c, "begin") + simple(c, sql) + [m for m in simple(c, "selec") if m[0] != "E"] + simple(c, "rollback")


def abandoned(c, sql):
    heard = simple(c, "begin") + simple(c, sql)
    c.close()
    return heard


def prepared_by_sql(c, sql):
    return simple(c, f"prepare p as {sql}") + simple(c, "execute p")


def called(c, sql):
    """FunctionCall: the function is named by its number."""
    number = int(c.value("select 'hide(text, text)'::regprocedure::oid::text"))
    arguments = b"".join(struct.pack("!i", len(a)) + a for a in (b"search_path", b"s2"))
    c.send(message(b"F", struct.pack("!IHH", number, 0, 2) + arguments + struct.pack("!H", 0)))
    return c.until_ready()


def copied(c, sql):
    c.send(query("copy touched from stdin"), copy_data(b"1\n"), COPY_DONE)
    return c.until_ready()


@pytest.mark.parametrize("run, sql", [
    (bound_only, "select lying()"), (rolled_back, "select dynamic('select pg_advisory_lock(98)')"),
    (rolled_back, "select hide('search_path', 's2')"), (abandoned, "select dynamic('select pg_advisory_lock(97)')"),
    (called, ""), (copied, ""), (simple, "select set_config('search_path', 's2', true)"),
    (in_a_transaction, "declare c cursor for select hide('search_path', 's2'); fetch c; close c")])
def test_whatever_way_the_code_is_reached(pg, proxy, run, sql):
    assert not trapped(pg, proxy, run, sql)


def test_what_sql_prepared_is_executed_for_its_session_only(pg, proxy):
    if proxy.document["config"]["local"]["session_features"] == "pin":
        assert not trapped(pg, proxy, prepared_by_sql, "select hide('lock_timeout', '7s')")


def test_code_that_came_since_the_catalogs_were_read_hides_nothing(pg, proxy):
    """A trigger made through the proxy acts on the writes of others before the proxy knows of it."""
    with Connection.open(proxy.url()) as maker, Connection.open(proxy.url()) as other:
        before = other.query(STATE)
        for _ in range(5):
            maker.query("drop table if exists fresh; create table fresh (x int)")
            maker.query("create trigger touch before insert on fresh for each row execute function touch()")
            other.query("insert into fresh values (1)")
            assert other.query(STATE) == before


def test_the_catalogs_of_a_new_origin_are_read_though_the_old_one_never_answered(pg):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        with Proxy(pg, port=silent.getsockname()[1], caching={"disabled": False}) as p:
            waiting = silent.accept()  # the keeper's, which waits for an answer to its login
            origin = p.document["config"]["origin"] | {"port": pg.port}
            assert p.reload(origin=origin)[0] == 200

            def hit():
                with Connection.open(p.url()) as c:
                    c.query("select v from trap")
                return p.stats()["cache"]["hit"] > 0
            wait_for(hit, 10, "an answer is kept, which needs the catalogs")
            waiting[0].close()


# Expressions that call Postgres's own functions, on which it records no dependency.
BUILT_IN_SCHEMA = """
create table by_default (a text default set_config('app.tenant', 'd', false), b int);
create table nested (a text default coalesce(nullif(set_config('app.tenant', 'n', false), ''), 'x'), b int);
create table checked (a int check (set_config('app.tenant', 'c' || a, false) is not null));
create domain wary as int check (set_config('app.tenant', 'w', false) is not null);
create domain defaulted as text default set_config('app.tenant', 'f', false);
create table of_wary (a wary, b defaulted, c int); create table locked (a bool default pg_try_advisory_lock(9), b int);
create table guarded (a int); insert into guarded values (1); create policy guard on guarded using (set_config('app.tenant', 'g', false) is not null);
alter table guarded enable row level security; alter table guarded force row level security;
create table ordinary (id serial, at timestamptz default clock_timestamp(), u uuid default gen_random_uuid(), b int)"""

BUILT_INS = ["insert into by_default (b) values (1)", "insert into nested (b) values (1)", "insert into checked values (1)",
             "update checked set a = 2", "select 5::wary", "select '5'::wary", "insert into of_wary (a) values (1)",
             "insert into of_wary (c) values (1)", "select jsonb_populate_record(null::of_wary, '{\"a\": 1}')",
             "insert into locked (b) values (1)", "select a from guarded", "with w as (insert into checked values (3) returning a) select a from w"]


@pytest.fixture(scope="module")
def built_in():
    with Postgres() as pg:
        pg.psql(BUILT_IN_SCHEMA)
        yield pg


@pytest.mark.parametrize("cached", [False, True], ids=["disabled", "cached"])
def test_postgres_own_functions_hide_nothing_in_expressions(built_in, cached):
    with Proxy(built_in, caching={"disabled": not cached}, origin_connection_limit=1 + cached) as p:
        p.wait_known()
        found = []
        for run in (simple, extended):
            for sql in BUILT_INS:
                found += trapped(built_in, p, run, sql)
        assert not found, "\n".join(map(str, found))


def test_what_no_statement_takes_back_ends_with_its_connection(pg, proxy):
    name = f"origin_{proxy.port}"
    pg.psql(f"select pg_replication_origin_create('{name}')")
    state = """select pg_replication_origin_session_is_setup(),
      (select count(*) from pg_replication_slots where temporary and active_pid = pg_backend_pid())"""
    for sql in (f"select pg_replication_origin_session_setup('{name}')",
                f"select pg_create_physical_replication_slot('slot_{proxy.port}', true, true)"):
        for run in (simple, named):
            with Connection.open(proxy.url()) as c:
                # The one before may not have quite ended at the origin.
                wait_for(lambda: not [body for kind, body in run(c, sql) if kind == "E"], 10, f"{sql} runs")
            with Connection.open(proxy.url()) as other:
                assert other.query(state) == [[b"f", b"0"]]
