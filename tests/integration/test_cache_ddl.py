"""Changes of the schema that overtake what was begun before them: no answer made by the old schema outlives the change."""

import pytest

from support.pgwire import FLUSH, SYNC, Connection, bind, data_row, describe, execute, parse, query
from support.ports import wait_for
from support.postgres import Postgres
from support.proxy import Proxy


@pytest.fixture(scope="module")
def pg():
    with Postgres() as pg:
        yield pg


def proxy(pg, setup):
    """One that knows what `setup` makes."""
    pg.psql("drop schema if exists public cascade; drop schema if exists before cascade; create schema public authorization app;"
            "set role app; create table witness (v int); insert into witness values (1);" + setup)
    return Proxy(pg, caching={"disabled": False}, origin_connection_limit=3, local={"invalidation": "writes"})


def hits(p):
    return p.stats()["cache"]["hit"]


def wait_until_stored(p, c, sql):
    """Nothing is stored until the catalogs have been read again; then two reads make a hit."""
    def hit():
        before = hits(p)
        c.query(sql)
        return hits(p) > before
    wait_for(hit, 10, f"a hit on {sql}")


def value(messages):
    assert not [body for kind, body in messages if kind == "E"], messages
    return [data_row(body)[-1].decode() for kind, body in messages if kind == "D"][0]


def begin(c, sql):
    c.send(parse("", sql), describe("S"), FLUSH)
    assert c.until("T", "E")[-1][0] == "T"


PARTS = ("create table parts (id int, v int) partition by list (id); create table p1 partition of parts for values in (1);"
         "insert into parts values (1, 1); create table p2 (id int, v int); insert into p2 values (2, 2);")
CHANGES = {
    "attach": (PARTS, "alter table parts attach partition p2 for values in (2)", "select max(v) from parts", "2"),
    "inherit": ("create table kin (v int); insert into kin values (1); create table kid (v int); insert into kid values (2);",
                "alter table kid inherit kin", "select max(v) from kin", "2"),
    "function": ("create table fed (v int); insert into fed values (1); create function f() returns int immutable language sql as "
                 "'select 1';", "create or replace function f() returns int immutable language sql as 'select 2'",
                 "select f() as v from fed", "2"),
    "shadow": ("create schema before; create table before.sh (v int); insert into before.sh values (1);",
               "create table public.sh as select 2 as v", "select v from sh", "2"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_pipeline_begun_before_the_change_leaves_nothing_of_the_old_schema_behind(pg, change):
    """Its backend holds the locks, and with them the schema, of its Parse; its Execute comes after the change."""
    setup, ddl, read, new = CHANGES[change]
    path = {"options": "-c search_path=public,before"}
    with proxy(pg, setup) as p, Connection.open(p.url(), **path) as early, Connection.open(p.url(), **path) as late, \
            Connection.open(p.url()) as c:
        late.send(parse("warm", read), describe("S", "warm"), SYNC)
        late.until_ready()
        wait_until_stored(p, c, "select v from witness")
        for _ in range(8):   # a backend that has not all it needs at hand looks at the catalogs again, and sees
            begin(early, read)
            early.send(bind("", ""), execute(), SYNC)
            old = value(early.until_ready())
            assert p.admin("POST", "/v1/purge", '{"all": true}')[0] == 200
        begin(early, read)
        c.query(ddl)
        wait_until_stored(p, c, "select v from witness")
        early.send(bind("", ""), execute(), SYNC)
        assert value(early.until_ready()) in (old, new)   # it began before
        for _ in range(3):
            late.send(bind("", "warm"), execute(), SYNC)
            assert value(late.until_ready()) == new


@pytest.mark.parametrize("past_the_proxy", [False, True])
@pytest.mark.parametrize("change", ["alter role app set search_path = before, public", "alter role app set datestyle = 'German'",
                                    "alter database shop set search_path = before, public"])
def test_defaults_of_new_sessions_hold_for_all_and_tell_the_tables(pg, change, past_the_proxy):
    """Connections that were opened before know nothing of them."""
    setup = ("create schema before; create table before.seen (d date); insert into before.seen values ('2026-02-01');"
             "create table seen (d date); insert into seen values ('2026-01-01');")
    reset = "alter role app reset all; alter database shop reset all"
    pg.psql(reset)
    read = "select max(d) from seen"
    with proxy(pg, setup) as p, Connection.open(p.url()) as c:
        wait_until_stored(p, c, read)
        assert c.value(read) == "2026-01-01"
        if past_the_proxy:
            pg.psql(change)
            assert p.admin("POST", "/v1/purge", '{"all": true}')[0] == 200
            c.query("create table nudge (v int)")   # the catalogs are looked at once a minute otherwise
        else:
            c.query(change)
        with Connection.open(pg.url()) as direct:
            expected = direct.value(read)
        wait_for(lambda: c.value(read) == expected, 10, "the new default holds")
        wait_until_stored(p, c, read)
        assert c.value(read) == expected != "2026-01-01"
        c.query("update before.seen set d = '2026-03-03'")
        c.query("update seen set d = '2026-03-03'")
        with Connection.open(pg.url()) as direct:
            assert c.value(read) == direct.value(read)
    pg.psql(reset)


OVERTAKEN = {
    "trigger": ("create table busy (v int); create table told (v int); insert into told values (0); create function tell() returns "
                "trigger language plpgsql as $$ begin update told set v = new.v; return new; end $$;",
                "insert into busy values (7)", "create trigger tell after insert on busy for each row execute function tell()",
                "select v from told", "0", "7"),
    "partition": ("create table root (id int, v int) partition by list (id); create table leaf (id int, v int);",
                  "insert into root values (2, 7)", "alter table root attach partition leaf for values in (2)",
                  "select count(*) from leaf", "0", "1"),
    "cascade": ("create table up (id int primary key); create table down (id int); insert into up values (1); insert into down "
                "values (1);", "delete from up", "alter table down add foreign key (id) references up on delete cascade",
                "select count(*) from down", "1", "0"),
    "rule": ("create table ruled (v int); create table other (v int); insert into other values (0);", "insert into ruled values (7)",
             "create rule r as on insert to ruled do also update other set v = new.v", "select v from other", "0", "7"),
    "name": ("create schema before; create table named (v int); insert into named values (0);"
             "create table before.named_ (v int); insert into before.named_ values (0);",
             "update named set v = 7", "alter table before.named_ rename to named", "select v from before.named", "0", "7"),
}


@pytest.mark.parametrize("change", OVERTAKEN)
def test_a_write_that_is_overtaken_by_a_change_ends_the_answers_that_it_reaches_by_then(pg, change):
    """It was announced by the old schema and runs by the new one."""
    setup, write, ddl, read, before, after = OVERTAKEN[change]
    path = {"options": "-c search_path=before,public"}
    with proxy(pg, "create table gate (v int);" + setup) as p, Connection.open(p.url(), **path) as writer, \
            Connection.open(p.url()) as c, Connection.open(pg.url()) as guard:
        wait_until_stored(p, c, "select v from witness")
        guard.query("begin")
        guard.query("lock table gate in access exclusive mode")
        writer.send(query("select v from gate; " + write))
        wait_for(lambda: pg.psql("select count(*) from pg_locks where not granted").strip() == "1", 5, "it waits")
        c.query(ddl)
        wait_until_stored(p, c, read)
        assert c.value(read) == before
        guard.query("commit")
        writer.until_ready()
        assert c.value(read) == after


def test_the_reading_of_the_catalogs_holds_no_lock_while_it_waits_for_another(pg):
    """Or a client that waits for what it holds could be the one that Postgres ends, as part of a deadlock."""
    views = "create table one (v int); create table two (v int);" + "".join(
        f"create view seen{n} as select one.v from one, two;" for n in range(5))
    with proxy(pg, views) as p, Connection.open(p.url()) as c, Connection.open(pg.url()) as direct, \
            Connection.open(pg.url()) as other:
        wait_until_stored(p, c, "select v from witness")
        waits = "select count(*) from pg_locks where not granted and relation = '{}'::regclass"
        for held, wanted in (("two", "one"), ("one", "two")):
            direct.query("begin")
            direct.query(f"lock table {held} in access exclusive mode")
            c.query(f"create table if not exists new_{held} (v int)")
            # It is tried again and again, so that it is met.
            wait_for(lambda: other.value(waits.format(held)) != "0", 20, "the reading wants the lock")
            other.query("begin; set local lock_timeout = '2s'")
            other.query(f"lock table {wanted} in access exclusive mode")
            other.query("rollback")
            direct.query("rollback")
            wait_until_stored(p, c, "select v from witness")


def run(sql):
    return parse("", sql) + bind("", "") + execute()


@pytest.mark.parametrize("sent", [
    query("selec 1"), query("create tabl x ()"), run("select 1") + run("selec 1") + SYNC,
    run("insert into witness values (2)") + run("create tabl x ()") + SYNC], ids=["query", "words of a DDL", "pipeline", "behind a write"])
def test_a_text_that_the_origin_cannot_read_is_no_change_of_the_schema(logged, sent):
    with proxy(logged, "") as p, Connection.open(p.url()) as c:
        wait_until_stored(p, c, "select v from witness")
        before = logged.log().count("REPEATABLE READ READ ONLY")
        c.send(sent)
        assert [kind for kind, _ in c.until_ready()][-2] == "E"
        wait_until_stored(p, c, "select v from witness")
        assert logged.log().count("REPEATABLE READ READ ONLY") == before
        c.query("create table seen as select 1 as v")
        wait_until_stored(p, c, "select v from seen")
        assert logged.log().count("REPEATABLE READ READ ONLY") > before


@pytest.fixture(scope="module")
def logged():
    with Postgres(settings={"log_statement": "all"}) as pg:
        yield pg
