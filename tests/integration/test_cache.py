"""The query cache over the wire: every shape of a read, freshness in each mode, isolation, purges, single flight."""

import json
import signal
import threading
import time

import psycopg2
import pytest

from support import pgwire
from support.herd import herd
from support.hyperdrive import Hyperdrive
from support.pgwire import Connection, bind, data_row, describe, execute, parse, query
from support.ports import wait_for
from support.postgres import Postgres
from support.proxy import NotReady, Proxy

SYNC, FLUSH = pgwire.SYNC, pgwire.FLUSH
READ = "select id, name, price from item where id = $1"


@pytest.fixture(scope="module")
def pg():
    # The log is read as far as it is flushed, which asynchronous commits put off by up to 3 wal_writer_delay.
    with Postgres(settings={"wal_level": "logical", "max_prepared_transactions": 10, "synchronous_commit": "on"}) as pg:
        pg.psql("""create table item (id int primary key, name text, price numeric);
                   insert into item select n, 'item ' || n, n * 1.5 from generate_series(1, 100) n;
                   create table slow (id int); insert into slow values (1);
                   create view cheap as select * from item where price < 10;
                   create role other login superuser password 'x'; create schema s2;
                   create table s2.item (id int primary key, name text, price numeric);
                   insert into s2.item values (1, 'another one', 0);""")
        yield pg


class Knowing(Proxy):
    """One that knows the catalogs from its start: what is counted here does not depend on when they come."""

    def start(self):
        super().start()
        self.wait_known()


def proxy(pg, mode="none", **local):
    limit = local.pop("limit", 8)
    caching = {"disabled": False} | local.pop("caching", {})
    env = local.pop("env", None)
    return Knowing(pg, caching=caching, origin_connection_limit=limit, env=env, local={"invalidation": mode} | local)


def counts(p):
    return p.stats()["cache"]


def connect(p):
    c = psycopg2.connect(p.url())
    c.autocommit = True
    return c


def ask(c, sql, args=None):
    with c.cursor() as cursor:
        cursor.execute(sql, args)
        return cursor.fetchall()


# --- shapes -----------------------------------------------------------------------------------------

def simple(c, run):
    c.send(query("select id, name, price from item where id = 1"))
    return c.until_ready()


def one_group(c, run):
    c.send(parse("", READ, (23,)), bind("", "", ["1"]), describe("P"), execute(), SYNC)
    return c.until_ready()


def one_group_binary(c, run):
    c.send(parse("", READ, (23,)), bind("", "", [b"\0\0\0\1"], (1,), (1,)), describe("P"), execute(), SYNC)
    return c.until_ready()


def flushed(c, run):
    """postgres.js, asyncpg: P D H, wait, B E S; names that never repeat."""
    c.send(parse(f"x{run}", READ), describe("S", f"x{run}"), FLUSH)
    first = c.until("T", "E")
    c.send(bind("", f"x{run}", ["1"]), execute(), SYNC)
    return first + c.until_ready()


def two_syncs(c, run):
    """lib/pq, pgx: the unnamed statement over two Syncs."""
    c.send(parse("", READ), describe("S"), SYNC)
    first = c.until_ready()
    c.send(bind("", "", ["1"]), execute(), SYNC)
    return first + c.until_ready()


def described_in_group(c, run):
    """postgres.js without parameters: P D-S B E S in one write."""
    c.send(parse("", "select id, name, price from item where id = 2"), describe("S"), bind("", ""), execute(), SYNC)
    return c.until_ready()


def warm(c, run):
    """pgJDBC, asyncpg: a named statement, then Bind and Execute with no Describe at all."""
    answer = []
    if run == 0:
        c.send(parse("w", READ, (23,)), describe("S", "w"), SYNC)
        answer += c.until_ready()
    c.send(bind("", "w", ["1"]), execute(), SYNC)
    return answer + c.until_ready()


@pytest.mark.parametrize("shape", [simple, one_group, one_group_binary, flushed, two_syncs, described_in_group, warm])
def test_each_shape_of_a_read_hits_and_answers_as_postgres_does(pg, shape):
    with proxy(pg) as p, Connection.open(p.url()) as c, Connection.open(pg.url()) as direct:
        for run in range(4):
            assert shape(c, run) == shape(direct, run), run
        seen = counts(p)
        assert (seen["miss"], seen["hit"]) == (1, 3), seen


def test_a_hit_takes_its_place_behind_answers_in_flight(pg):
    with proxy(pg) as p, Connection.open(p.url()) as c:
        c.query("select id from item where id = 1")
        c.send(query("select 'first', pg_sleep(0.2)"), query("select id from item where id = 1"))
        assert pgwire.data_row(dict(c.until_ready())["D"])[0] in (b"first", "first")
        assert pgwire.data_row(dict(c.until_ready())["D"])[0] in (b"1", "1")


def test_as_many_formats_as_columns_are_asked_for_with_a_cache_too(pg):
    with proxy(pg) as p, Connection.open(p.url()) as c, Connection.open(pg.url()) as direct:
        for _ in range(2):
            assert c.value("select name from item where id = 4") == "item 4"
        for formats in ((), (0,), (0, 0), (0, 0, 0)):
            sent = parse("", "select name from item where id = 4") + bind("", "", results=formats) + execute() + SYNC
            answers = []
            for each in (c, direct):
                each.send(sent)
                answers.append([kind for kind, _ in each.until_ready()])
            assert answers[0] == answers[1], formats


# --- freshness --------------------------------------------------------------------------------------

def test_none_serves_on_after_a_write_and_counts_it(pg):
    with proxy(pg) as p:
        a, b = connect(p), connect(p)
        before = ask(a, "select price from item where id = 3")
        ask(b, "update item set price = price + 1 where id = 3 returning id")
        assert ask(a, "select price from item where id = 3") == before
        assert counts(p)["stale_hits"] == 1


@pytest.mark.parametrize("write", [
    "update item set price = price - 1 where id = 4",
    "with w as (update item set price = price - 1 where id = 4 returning *) select count(*) from w",
    "do $$ begin update item set price = price - 1 where id = 4; end $$",
    "begin; update item set price = price - 1 where id = 4; commit",
])
def test_writes_are_seen_at_once_on_every_connection(pg, write):
    with proxy(pg, "writes") as p:
        a, b = connect(p), connect(p)
        for sql in ("select price from item where id = 4", "select price from cheap where id = 4"):
            before = ask(a, sql)
            assert ask(a, sql) == before
            with b.cursor() as cursor:
                cursor.execute(write)
            assert ask(a, sql) != before
            assert ask(a, sql) == ask(psycopg2.connect(pg.url()), sql)


def test_a_rolled_back_write_does_not_count_as_stale(pg):
    with proxy(pg) as p:
        a, b = connect(p), connect(p)
        ask(a, "select price from item where id = 5")
        with b.cursor() as cursor:
            cursor.execute("begin")
            cursor.execute("update item set price = 0 where id = 5")
            cursor.execute("rollback")
        ask(a, "select price from item where id = 5")
        seen = counts(p)
        assert seen["stale_hits"] == 0 and seen["hit"] == 1, seen


def test_a_prepared_transaction_keeps_its_tables_out_until_it_ends(pg):
    with proxy(pg, "writes") as p:
        a, b = connect(p), connect(p)
        sql = "select price from item where id = 6"
        with b.cursor() as cursor:
            cursor.execute("begin; update item set price = price + 1 where id = 6; prepare transaction 'two'")
        old = ask(a, sql)
        pg.psql("commit prepared 'two'")   # past the proxy
        assert ask(a, sql) != old

        def cached():
            hits = counts(p)["hit"]
            ask(a, sql)
            return counts(p)["hit"] > hits
        wait_for(cached, 10, "stores are allowed again")


def test_ddl_is_seen_before_anything_is_stored_again(pg):
    with proxy(pg, "writes") as p:
        a, b = connect(p), connect(p)
        with b.cursor() as cursor:
            cursor.execute("create table shape (x int); insert into shape values (1)")
        assert ask(a, "select * from shape") == [(1,)]
        with b.cursor() as cursor:
            cursor.execute("alter table shape add y int default 2")
        assert ask(a, "select * from shape") == [(1, 2)]
        with b.cursor() as cursor:
            cursor.execute("drop table shape")


# --- isolation --------------------------------------------------------------------------------------

def test_sessions_that_differ_in_a_setting_never_share(pg):
    sql = "select name, '2026-01-01 00:00+00'::timestamptz::text from item where id = 1"
    with proxy(pg) as p:
        answers = {}
        for options in ("", "-c search_path=s2", "-c TimeZone=Asia/Tokyo", "-c DateStyle=German"):
            for _ in range(2):
                with Connection.open(p.url(), options=options) as c, Connection.open(pg.url(), options=options) as d:
                    assert c.query(sql) == d.query(sql), options
                    answers[options] = str(c.query(sql))
        assert len(set(answers.values())) >= 3, answers


# --- control ----------------------------------------------------------------------------------------

def test_comments_rules_purges_and_reload(pg):
    with proxy(pg) as p:
        a = connect(p)

        def status(sql):
            before = counts(p)
            ask(a, sql)
            after = counts(p)
            return next(name for name in after if name in before and after[name] > before[name] and name in (
                "hit", "miss", "stale", "bypass", "volatile", "uncacheable", "disabled"))

        plain, tagged = "select id from item where id = 7", "/* hyperdrive: tag=seven */ select id from item where id = 7"
        assert [status(plain), status(plain)] == ["miss", "hit"]
        assert [status(tagged), status(tagged)] == ["miss", "hit"]
        assert status("/* hyperdrive: no-cache */ select id from item where id = 7") == "bypass"
        assert status("/* hyperdrive: no-cache */ select now()") == "bypass"
        assert status("select now()") == "volatile"
        assert status("select * from pg_class limit 1") == "uncacheable"
        for what in ({"tag": "seven"}, {"table": "item"}, {"query": tagged}, {"all": True}):
            code, body = p.admin("POST", "/v1/purge", json.dumps(what))
            assert code == 200 and json.loads(body)["purged"] >= 1, (what, body)
            assert status(tagged) == "miss", what
        code, body = p.admin("POST", "/v1/purge", json.dumps({"table": "nothing_like_this"}))
        assert code >= 400, body


# --- single flight, lifetimes -----------------------------------------------------------------------

def test_a_herd_on_one_cold_key_asks_the_origin_once(pg):
    def right(answer):
        assert pgwire.data_row(dict(answer)["D"])[0] in (b"1", "1")

    with proxy(pg, limit=20) as p:
        clients = [Connection.open(p.url()) for _ in range(200)]
        many, asked, seen = herd(pg, p, clients, "slow", right)
        for c in clients:
            c.close()
    # Who was read only after the answer had come has hit it.
    assert asked == seen["miss"] - seen["coalesced"] == 1 and seen["coalesced"] > 0, (asked, seen)
    assert seen["miss"] + seen["hit"] == many, seen


def test_a_stale_answer_is_served_and_then_refreshed(pg):
    with proxy(pg, caching={"max_age": 1, "stale_while_revalidate": 30}) as p:
        a, sql = connect(p), "select price from item where id = 9"
        old = ask(a, sql)
        pg.psql("update item set price = price + 1 where id = 9")
        wait_for(lambda: ask(a, sql) and counts(p)["stale"] > 0, 10, "the answer is stale")
        # Nobody asks meanwhile: the proxy refreshes it by itself, once.
        wait_for(lambda: counts(p)["refreshes"] == 1, 10, "it is refreshed")
        wait_for(lambda: ask(a, sql) != old, 10, "the fresh answer is there")
        seen = counts(p)
        assert seen["miss"] == 1 and seen["hit"] > 0, seen


def test_when_the_origin_dies_hits_go_on_for_their_time_and_then_comes_a_clean_error():
    sql = "select v from kept"
    with Postgres(settings={"synchronous_commit": "on"}) as own:   # or the crash may forget the table
        own.psql("create table kept (v int); insert into kept values (7)")
        with proxy(own, caching={"max_age": 1, "stale_while_revalidate": 8}) as p, Connection.open(p.url()) as c:
            def status(name):
                before = counts(p)[name]
                return c.value(sql) == "7" and counts(p)[name] > before
            wait_for(lambda: status("hit"), 10, "it is cached")
            own.stop(signal.SIGKILL)
            wait_for(lambda: status("stale"), 10, "it is served although it is stale")

            def refused():
                try:
                    assert c.value(sql) == "7"
                except pgwire.Refused as error:
                    return error
            error = wait_for(refused, 20, "its time is up")
            assert error.code.startswith(("08", "57", "58")), error
            own.start()
            wait_for(lambda: not refused(), 20, "the same session goes on")


def test_a_stale_answer_is_refreshed_once_whoever_asks_in_whatever_shape(pg):
    pg.psql("drop table if exists asked; create table asked (v int); insert into asked values (1);"
            "alter table asked owner to app")
    with proxy(pg, caching={"max_age": 1, "stale_while_revalidate": 30}) as p:
        readers = [Connection.open(p.url()) for _ in range(20)]
        sql = "select v, $1::int from asked"

        def read(c):
            c.send(parse("", sql), bind("", "", ["7"], results=(1,)), execute(), SYNC)
            return [data_row(body) for kind, body in c.until_ready() if kind == "D"]
        old = read(readers[0])
        pg.psql("update asked set v = 2")
        wait_for(lambda: read(readers[0]) and counts(p)["stale"] > 0, 10, "the answer is stale")
        for c in readers:
            read(c)
        wait_for(lambda: read(readers[1]) != old, 10, "the fresh answer is there")
        assert read(readers[2])[0][0] == b"\0\0\0\2"
        assert counts(p)["refreshes"] == 1 and counts(p)["miss"] == 1
        for c in readers:
            c.close()


@pytest.mark.parametrize("mode", ["none", "writes"])
def test_verify_asks_the_origin_for_hits_and_tells_the_stale_ones(pg, mode):
    pg.psql("drop table if exists checked; create table checked (v int); alter table checked owner to app; insert into checked values (1), (2)")
    with proxy(pg, mode, verify_sample=1) as p:
        a = connect(p)
        wait_for(lambda: (ask(a, "select v from checked"), counts(p)["hit"])[1] > 3, 10, "hits")
        wait_for(lambda: counts(p)["verified"] > 2, 10, "hits are checked")
        assert counts(p)["verified_stale"] == 0
        pg.psql("update checked set v = 3 where v = 2")   # past the proxy: unseen
        wait_for(lambda: ask(a, "select v from checked") and counts(p)["verified_stale"] > 0, 10, "the difference is counted")


def test_rules_without_a_table_and_hints_without_sense_are_told(pg):
    with proxy(pg, cache_rules=["item:max-age=50", "itme:max-age=5"]) as p:
        a = connect(p)
        ask(a, "select 1 /* hyperdrive: max_age=5, no-chache */")
        wait_for(lambda: p.status()["warnings"], 10, "a warning")
        assert [w for w in p.status()["warnings"] if "itme" in w] and not [w for w in p.status()["warnings"] if '"item"' in w]
        wait_for(lambda: "itme" in p.log(), 5, "the log says so")
        assert counts(p)["invalid_hints"] == 1
        explained = json.loads(p.admin("POST", "/v1/explain", json.dumps({"sql": "select 1 /* hyperdrive: max-age=x */"}))[1])
        assert explained["invalid_hints"] == ["max-age=x"]


def test_replication_without_the_log_level_is_refused_with_the_settings_name():
    with Postgres() as plain:
        with pytest.raises(NotReady) as refused:
            with proxy(plain, "replication"):
                pass
        assert "wal_level" in str(refused.value)
        assert plain.psql("select count(*) from pg_replication_slots").strip() == "0"
        with Hyperdrive() as hd:
            refused = hd.run("create", "shop", "--connection-string", plain.url(), "--invalidation", "replication")
            assert refused.returncode == 1 and "wal_level" in refused.stderr and not hd.json("list", "--json")


def test_replication_without_the_attribute_is_refused_at_create_and_update(pg):
    pg.psql("create role reader login password 'reader-secret'")
    wants = ("--invalidation", "replication")
    with Hyperdrive() as hd:
        refused = hd.run("create", "shop", "--connection-string", pg.url("reader", "reader-secret"), *wants)
        assert refused.returncode == 1 and 'ALTER ROLE "reader" REPLICATION' in refused.stderr, refused.stderr
        hd("create", "shop", "--connection-string", pg.url("reader", "reader-secret"))
        refused = hd.run("update", "shop", *wants)
        assert refused.returncode == 1 and "Nothing was stored" in refused.stderr
        assert hd.json("get", "shop", "--all")["local"]["invalidation"]["value"] == "none"
        pg.psql("alter role reader replication")
        hd("update", "shop", *wants)


# --- truth under fire -------------------------------------------------------------------------------

READS = ("select v from version where id = 1", "select v from version_view where id = 1",
         "select max(a.v) from version a join version b on a.id = b.id", "select max(v) from parted")


def parsed_apart(c, sql) -> int:
    c.send(parse("", sql), describe("S"), SYNC)
    c.until_ready()
    c.send(bind("", ""), execute(), SYNC)
    return int(pgwire.data_row(next(body for kind, body in c.until_ready() if kind == "D"))[0])


def seen_by_all(last, version) -> bool:
    """Each reader itself has seen `version` in each of its reads: no question of before is on its way any more."""
    return all(seen.get(sql, 0) >= version for seen in last for sql in READS)


def fire(p, write, seconds, settled=lambda last, version: True):
    """Writers raise versions; readers never see less than what was acknowledged before they asked: with the write, or
    where nobody tells the proxy of it, once it is `settled`."""
    told, done, wrong, checks = [0] * 1, threading.Event(), [], [0]
    each = [{} for _ in range(4)]

    def reader(number):
        c = Connection.open(p.url())
        last = each[number]
        while not done.is_set():
            sql = READS[(checks[0] + number) % len(READS)]
            least = max(told[0], last.get(sql, 0))
            seen = int(c.value(sql)) if number % 2 else parsed_apart(c, sql)
            checks[0] += 1
            last[sql] = seen
            if seen < least:
                wrong.append((sql, seen, least))
        c.close()

    readers = [threading.Thread(target=reader, args=(n,)) for n in range(4)]
    for thread in readers:
        thread.start()
    version, end = 0, time.monotonic() + seconds
    while time.monotonic() < end or (checks[0] <= 500 and time.monotonic() < end + 60):
        version += 1
        write(version)
        wait_for(lambda: settled(each, version), 20, "the write is seen", every=0.001)
        told[0] = version
        time.sleep(0.004)
    done.set()
    for thread in readers:
        thread.join()
    return wrong, checks[0]


def prepare_versions(pg):
    pg.psql("""drop table if exists version, parted cascade;
               create table version (id int primary key, v int); insert into version values (1, 0);
               create view version_view as select * from version;
               create table parted (id int, v int) partition by range (id);
               create table parted_1 partition of parted for values from (0) to (10); insert into parted values (1, 0)""")


def test_no_reader_goes_back_behind_an_acknowledged_write(pg):
    prepare_versions(pg)
    with proxy(pg, "writes") as p:
        writer = connect(p)

        def write(version):
            with writer.cursor() as cursor:
                if version % 3 == 0:
                    cursor.execute("begin")
                cursor.execute(f"update version set v = {version}")
                table = "parted_1" if version % 2 else "parted"
                if version % 5 == 0:
                    cursor.execute(f"begin; truncate parted; insert into parted values (1, {version}); commit"
                                   if version % 3 else f"update {table} set v = {version}")
                else:
                    cursor.execute(f"update {table} set v = {version}")
                if version % 3 == 0:
                    cursor.execute("commit")
        wrong, checks = fire(p, write, 6)
        seen = counts(p)
    assert not wrong, wrong[:5]
    assert checks > 500 and seen["hit"] > 50, (checks, seen)


def test_replication_sees_writes_that_went_past_the_proxy(pg):
    prepare_versions(pg)
    with proxy(pg, "replication") as p:
        writer = psycopg2.connect(pg.url())
        writer.autocommit = True

        def write(version):
            with writer.cursor() as cursor:
                cursor.execute(f"update version set v = {version}; update parted set v = {version}")
        wrong, checks = fire(p, write, 6, settled=seen_by_all)
        seen = counts(p)
    assert not wrong, wrong[:5]
    assert checks > 300 and seen["hit"] > 50, (checks, seen)
    wait_for(lambda: pg.psql("select count(*) from pg_replication_slots").strip() == "0", 10, "the slot is gone")


def test_replication_sees_changes_of_the_schema_that_went_past_the_proxy(pg):
    pg.psql("""create text search dictionary few (template = simple); create view shown as select 1 as v;
               create function given() returns int immutable language sql as 'select 1'; create type hue as enum ('red')""")
    changes = {"select ts_lexize('few', 'The')::text": "alter text search dictionary few (stopwords = english)",
               "select v from shown": "create or replace view shown as select 2 as v",
               "select given()": "create or replace function given() returns int immutable language sql as 'select 2'",
               "select 'red'::hue::text": "alter type hue rename value 'red' to 'blue'"}
    with proxy(pg, "replication") as p, Connection.open(p.url()) as c, Connection.open(pg.url()) as direct:
        def hit(sql):
            before = counts(p)["hit"]
            c.query(sql)
            return counts(p)["hit"] > before

        def ask_both(sql):
            for one in (c, direct):
                one.send(query(sql))
            return [[body for kind, body in one.until_ready() if kind in "DE"] for one in (c, direct)]
        for sql, change in changes.items():
            wait_for(lambda: hit(sql), 10, f"a hit on {sql}")
            old = ask_both(sql)[1]
            pg.psql(change)
            wait_for(lambda: ask_both(sql)[0] != old, 10, f"the change is seen: {change}")
            got, truth = ask_both(sql)
            assert got == truth


@pytest.mark.parametrize("fence", [True, False])
def test_a_commit_that_is_logged_before_it_is_visible(pg, fence):
    """A missing synchronous standby holds the window open. Without the fence the old row is kept: so it must be there."""
    prepare_versions(pg)
    sql = "select v from version where id = 1"
    env = {} if fence else {"HYPERDRIVE_TEST_WITHOUT_FENCE": "1"}
    with proxy(pg, "replication", env=env) as p:
        reader = connect(p)
        assert ask(reader, sql) == [(0,)]

        def write():
            with psycopg2.connect(pg.url()) as writer, writer.cursor() as cursor:
                cursor.execute("set synchronous_commit = on; update version set v = 1")
        pg.psql("alter system set synchronous_standby_names = 'nobody'")
        pg.psql("select pg_reload_conf()")
        thread = threading.Thread(target=write)
        thread.start()
        try:
            def told():
                before = counts(p)
                assert ask(reader, sql) == [(0,)]
                return counts(p)["miss"] > before["miss"]
            wait_for(told, 10, "the log has told of the commit")
            for _ in range(3):
                assert ask(reader, sql) == [(0,)]
        finally:
            pg.psql("alter system reset synchronous_standby_names")
            pg.psql("select pg_reload_conf()")
            thread.join()
        if fence:
            wait_for(lambda: ask(reader, sql) == [(1,)], 5, "the new row")
        else:
            time.sleep(0.5)
            assert ask(reader, sql) == [(0,)], "the fence is not needed here: this test shows nothing"
