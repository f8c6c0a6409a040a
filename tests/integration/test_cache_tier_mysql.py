"""The cache tier in Redis for MariaDB: as test_cache_tier.py has it for Postgres."""

import contextlib
import random
import socket
import struct
import threading
import urllib.parse

import psycopg
import pymysql
import pytest

from support.far import FarAway
from support.hyperdrive import Hyperdrive
from support.mariadb import MariaDB
from support.mysql_client import client, rows
from support.mysql_raw import DEPRECATE_EOF, USUAL, Raw
from support.ports import PATIENCE, wait_for
from support.postgres import Postgres
from support.redis import Redis
from support.tiers import answers, counts, shares, sharing

READ = "select v from shared where id = 1"
SEED = random.randrange(1 << 30)


@pytest.fixture(scope="module")
def db():
    with MariaDB(settings={"log_bin": "binlog", "binlog_format": "ROW", "server_id": "7"}) as db:
        db.sql("create table shared (id int primary key, v int); insert into shared values (1, 0);"
               "create table other (id int primary key, v int); insert into other values (1, 0);"
               "create table watched (id int primary key, v int); insert into watched values (1, 0);"
               "create trigger t after update on watched for each row update other set v = new.v where id = 1;"
               "create procedure poke (n int) update shared set v = n;"
               "create table parts (id int primary key, v varchar(600)); insert into parts select seq, repeat('x', 500) from seq_1_to_300;"
               "create user reader@'%' identified by 'reader-secret'; grant all on *.* to reader@'%'")
        yield db


@pytest.fixture()
def redis():
    with Redis() as redis:
        yield redis


def proxy(db, redis, mode="writes", **local):
    return sharing(db, redis, 8, mode, **local)


def value(c, sql=READ):
    return rows(c, sql)[0][0]


def hits(p, c, sql) -> bool:
    before = counts(p)["hit"]
    rows(c, sql)
    return counts(p)["hit"] > before


@contextlib.contextmanager
def two(db, redis, mode="writes", **local):
    """Two proxies that know each other's writes, with a connection to each."""
    with proxy(db, redis, mode, **local) as a, proxy(db, redis, mode, **local) as b:
        for p in (a, b):
            wait_for(lambda: shares(p), 20, "the tier is used")
        with client(a) as to_a, client(b) as to_b:
            # Both have read the catalog again since the other one came.
            for p, c in ((a, to_a), (b, to_b)):
                wait_for(lambda: hits(p, c, READ), 20, "it is cached")
            yield (a, to_a), (b, to_b)


# --- answers ----------------------------------------------------------------------------------------

@pytest.mark.parametrize("mode", ["none", "writes", "replication"])
def test_an_answer_that_one_proxy_got_is_served_by_the_other(db, redis, mode):
    with two(db, redis, mode) as ((a, to_a), (b, to_b)):
        sql = "select v, 'told once' from shared where id = 1"
        first = rows(to_a, sql)
        wait_for(lambda: rows(to_a, sql) and len(answers(redis)) >= 2, 20, "it is in Redis")
        asked = counts(b)["miss"]
        assert rows(to_b, sql) == first
        assert counts(b)["miss"] == asked and counts(b)["shared_hits"] >= 1


@pytest.mark.parametrize("asking", [USUAL, USUAL & ~DEPRECATE_EOF])
@pytest.mark.parametrize("keeping", [USUAL, USUAL & ~DEPRECATE_EOF])
def test_what_comes_from_the_tier_is_byte_for_byte_what_the_origin_says(db, redis, keeping, asking):
    text, prepared = "select id, v from parts order by id", "select id, v from parts where id > ? order by id"
    with two(db, redis) as ((a, _), (b, _)), Raw(a, keeping) as first, Raw(b, asking) as second, Raw(db, asking) as direct:
        here, there, origin = first.prepare(prepared), second.prepare(prepared), direct.prepare(prepared)
        before = len(answers(redis))
        first.ask(text), first.execute(here, 7)
        wait_for(lambda: len(answers(redis)) >= before + 2, 20, "both are in Redis")
        shared = counts(b)["shared_hits"]
        assert second.ask(text) == direct.ask(text)
        assert second.execute(there, 7) == direct.execute(origin, 7)
        assert counts(b)["shared_hits"] == shared + 2


def test_settings_that_shape_an_answer_keep_sessions_apart_across_proxies(db, redis):
    """Charset, collation, sql_mode, time zone, database: a session gets what the origin says to such a session."""
    db.sql("create table if not exists moments (t timestamp, w varchar(20) collate utf8mb4_general_ci);"
           "delete from moments; insert into moments values ('2024-05-06 07:08:09', 'Äpfel');"
           "create database if not exists second; create or replace table second.moments like moments;"
           "insert into second.moments values ('2020-01-01 00:00:00', 'zwei')")
    settings = ["set time_zone = '+00:00'", "set time_zone = '+05:00'", "set names latin1", "set names utf8mb4",
                "set names utf8mb4 collate utf8mb4_bin", "set sql_mode = 'ansi_quotes'", "set sql_mode = ''", "use second"]
    sql = "select t, w, 'ä' = 'A', \"w\" from moments"
    with two(db, redis) as ((a, _), (b, _)):
        for setting in settings * 2:
            with Raw(a) as to_a, Raw(b) as to_b, Raw(db) as direct:
                for c in (to_a, to_b, direct):
                    c.ask(setting)
                told = direct.ask(sql)
                for _ in range(2):
                    assert to_a.ask(sql) == told and to_b.ask(sql) == told, setting


def test_another_user_at_the_origin_is_somebody_else(db, redis):
    sql = "select user(), v from shared"     # uncacheable, and a cacheable one beside it
    with proxy(db, redis) as a, proxy(db, redis, more={"origin_user": "reader", "origin_password": "reader-secret"}) as b:
        for p in (a, b):
            wait_for(lambda: shares(p), 20, "the tier is used")
        with client(a) as to_a, client(b) as to_b:
            wait_for(lambda: hits(a, to_a, READ) and answers(redis), 20, "it is in Redis")
            wait_for(lambda: hits(b, to_b, READ), 20, "it is cached")
            assert counts(b)["shared_hits"] == 0
            assert rows(to_b, sql)[0][0].startswith("reader@")
            rows(to_a, "update shared set v = v + 1")
            assert value(to_b) == value(to_a)


def test_a_postgres_config_on_the_same_redis_gets_nothing_of_it(db, redis):
    sql = "select 1 as one"
    with Postgres() as pg, proxy(db, redis) as mine, proxy(pg, redis) as theirs:
        for p in (mine, theirs):
            wait_for(lambda: shares(p), 20, "the tier is used")
        with client(mine) as c:
            wait_for(lambda: hits(mine, c, sql) and answers(redis), 20, "it is in Redis")
        with psycopg.connect(theirs.url(), autocommit=True) as c:
            for _ in range(3):
                assert c.execute(sql).fetchall() == [(1,)]
        assert counts(theirs)["shared_hits"] == 0
        assert len({name.split(":")[1] for name in redis.cli("-n", "3", "--scan").split()}) == 2


# --- writes -----------------------------------------------------------------------------------------

WRITES = ["update shared set v = {v}", "replace into shared values (1, {v})", "call poke({v})",
          "begin; update shared set v = {v}; commit", "insert into shared values (1, 0) on duplicate key update v = {v}",
          "prepare p from 'update shared set v = {v}'; execute p", "set autocommit = 0; update shared set v = {v}; commit; set autocommit = 1",
          "delete from shared; insert into shared values (1, {v})"]


@pytest.mark.parametrize("mode", ["writes", "replication"])
@pytest.mark.parametrize("write", WRITES)
def test_a_write_through_one_proxy_is_seen_through_the_other_at_once(db, redis, mode, write):
    with two(db, redis, mode) as ((a, to_a), (b, to_b)):
        for v in range(1, 16):
            writer, reader = (to_a, to_b) if v % 2 else (to_b, to_a)
            value(to_a), value(to_b)
            for part in write.replace("{v}", str(v)).split("; "):
                rows(writer, part)
            assert value(reader) == v and value(writer) == v


def test_prepared_writes_are_announced_too(db, redis):
    with two(db, redis) as ((a, _), (b, to_b)), Raw(a) as writer:
        statement = writer.prepare("update shared set v = v + ?")
        start = value(to_b)
        for n in range(1, 20):
            value(to_b)
            writer.execute(statement, 1)
            assert value(to_b) == start + n


def test_a_write_waits_until_a_far_redis_can_tell_the_others(db, redis):
    far = FarAway(redis.port, 25)
    with proxy(db, redis, cache_url=f"redis://127.0.0.1:{far.port}/3") as a, proxy(db, redis) as b:
        for p in (a, b):
            wait_for(lambda: shares(p), 20, "the tier is used")
        with client(a) as to_a, Raw(a) as raw, client(b) as to_b:
            statement = raw.prepare("update shared set v = ?")
            for v in range(200, 206):
                wait_for(lambda: hits(b, to_b, READ), 20, "it is cached")
                if v % 2:
                    raw.execute(statement, v)
                else:
                    rows(to_a, f"update shared set v = {v}")
                assert value(to_b) == v
        assert shares(a)


def test_what_a_trigger_writes_is_seen_through_the_other(db, redis):
    sql = "select v from other where id = 1"
    with two(db, redis) as ((a, to_a), (b, to_b)):
        for v in range(1, 20):
            value(to_b, sql)
            rows(to_a, f"update watched set v = {v}")
            assert value(to_b, sql) == v


def test_nobody_keeps_what_is_being_written(db, redis):
    with two(db, redis) as ((a, to_a), (b, to_b)):
        rows(to_a, "begin"), rows(to_a, "update shared set v = v + 1000")
        before = counts(b)["hit"]
        old = value(to_b)
        value(to_b)
        assert counts(b)["hit"] == before, "a write is under way at the other proxy"
        rows(to_a, "commit")
        assert value(to_b) == old + 1000
        wait_for(lambda: hits(b, to_b, READ), 20, "it is cached again")


def test_a_rollback_lets_the_others_keep_answers_again(db, redis):
    with two(db, redis) as ((a, to_a), (b, to_b)):
        old = value(to_b)
        rows(to_a, "begin"), rows(to_a, "update shared set v = -1"), rows(to_a, "rollback")
        assert value(to_b) == old
        wait_for(lambda: hits(b, to_b, READ), 20, "it is cached again")


def test_a_view_that_one_proxy_changes_is_read_anew_by_the_other(db, redis):
    db.sql("create or replace view chosen as select v from shared")
    sql = "select v from chosen where v is not null limit 1"
    with two(db, redis) as ((a, to_a), (b, to_b)):
        wait_for(lambda: hits(b, to_b, sql), 20, "it is cached")
        rows(to_a, "create or replace view chosen as select v from other")
        rows(to_b, sql), rows(to_b, sql)
        rows(to_a, "update other set v = 777")   # the dependency that only the new definition has
        assert value(to_b, sql) == 777


def test_a_write_past_both_is_seen_by_both_with_replication(db, redis):
    with two(db, redis, "replication") as ((a, to_a), (b, to_b)):
        for v in range(100, 110):
            value(to_a), value(to_b)
            db.sql(f"update shared set v = {v}")
            wait_for(lambda: value(to_a) == v and value(to_b) == v, 20, "both have heard of it")
            assert value(to_a) == v and value(to_b) == v, "and none goes back to what Redis has kept"


def test_a_client_that_leaves_before_its_write_is_sent_leaves_nothing_behind(db, redis):
    with two(db, redis) as ((a, _), (b, to_b)):
        redis.pause()
        with Raw(a) as c:
            c.socket.sendall(c.framed(b"\x03update shared set v = 4711"))   # Redis does not answer: it waits
            c.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        redis.resume()
        wait_for(lambda: shares(a) and shares(b), 30, "both use Redis")
        wait_for(lambda: a.status()["clients"] == 1, 20, "it is gone")
        wait_for(lambda: hits(b, to_b, READ), 20, "it is cached again: no write is under way for ever")
        assert value(to_b) == int(db.sql("select v from shared where id = 1"))


# --- purges -----------------------------------------------------------------------------------------

@pytest.mark.parametrize("what", ['{"table": "shared"}', '{"all": true}', '{"query": "%s"}' % READ, '{"tag": "purged"}'])
def test_a_purge_holds_for_all_proxies_when_it_has_been_answered(db, redis, what):
    read = READ + " /* hyperdrive: tag=purged */" if "tag" in what else READ
    with two(db, redis) as ((a, to_a), (b, to_b)):
        for p, c in ((a, to_a), (b, to_b)):
            wait_for(lambda: hits(p, c, read), 20, "it is cached")
        for v in range(4320, 4330):
            db.sql(f"update shared set v = {v}")   # past both
            code, body = a.admin("POST", "/v1/purge", what)
            assert code == 200 and "warning" not in body, body
            assert value(to_b, read) == v and value(to_a, read) == v


def test_a_purge_that_redis_does_not_hear_of_says_so_and_is_made_good(db, redis):
    with proxy(db, redis, "none") as a, client(a) as to_a:
        wait_for(lambda: shares(a) and hits(a, to_a, READ) and answers(redis), 20, "it is in Redis")
        redis.pause()
        db.sql("update shared set v = 17")
        wait_for(lambda: rows(to_a, f"select {random.randrange(1 << 30)}") and not shares(a), 20, "Redis is missed")
        assert "could not be told" in a.admin("POST", "/v1/purge", '{"table": "shared"}')[1]
        redis.resume()
        wait_for(lambda: shares(a), 20, "Redis is used again")
        assert value(to_a) == 17


def test_what_is_refreshed_is_given_to_the_others(db, redis):
    lifetime = {"max_age": 3, "stale_while_revalidate": 60}
    with proxy(db, redis, "none", caching=lifetime) as a, client(a) as to_a:
        wait_for(lambda: shares(a) and hits(a, to_a, READ), 20, "it is cached")
        db.sql("update shared set v = v + 1")
        fresh = int(db.sql("select v from shared where id = 1"))
        wait_for(lambda: value(to_a) == fresh, 20, "it has been refreshed")
        assert counts(a)["refreshes"] >= 1
        with proxy(db, redis, "none", caching=lifetime) as b, client(b) as to_b:
            wait_for(lambda: shares(b) and hits(b, to_b, "select 'anything'"), 20, "the tier is used")
            before = counts(b)
            assert value(to_b) == fresh
            after = counts(b)
            assert (after["miss"], after["shared_hits"]) == (before["miss"], before["shared_hits"] + 1)


# --- Redis gone, slow, lying ------------------------------------------------------------------------

def test_without_redis_each_goes_on_alone_and_says_so_and_both_come_back(db, redis):
    with two(db, redis) as ((a, to_a), (b, to_b)):
        redis.stop()
        wait_for(lambda: not shares(a) and not shares(b), 20, "they say so")
        wait_for(lambda: hits(a, to_a, READ), 20, "it goes on with its own memory")
        rows(to_b, "update shared set v = 99")          # nobody can tell a of it
        assert value(to_b) == 99
        redis.start()
        wait_for(lambda: shares(a) and shares(b), 30, "they are back")
        assert value(to_a) == 99, "what was missed in the gap is made good"


def test_a_redis_that_hangs_stops_nobody_for_long(db, redis):
    with two(db, redis) as ((a, to_a), (b, to_b)):
        redis.pause()
        rows(to_a, "update shared set v = 5")
        assert value(to_a) == 5
        wait_for(lambda: not shares(a), 20, "it is given up")
        redis.resume()
        wait_for(lambda: shares(a) and shares(b), 30, "they are back")
        assert value(to_b) == 5


def test_epochs_that_redis_lost_are_never_taken_for_old_ones(db, redis):
    with two(db, redis) as ((a, to_a), (b, to_b)):
        for v in (11, 12, 13):
            value(to_b)
            rows(to_a, f"update shared set v = {v}")
            redis.cli("-n", "3", "flushdb")
            assert value(to_b) == v


def test_answers_that_redis_has_damaged_are_not_believed(db, redis):
    with two(db, redis, "none") as ((a, to_a), (b, to_b)):
        for n, damage in enumerate(("setrange {} 60 XXXXXXXX", "setrange {} -20 XXXXX", "append {} X", "setrange {} 20 ~~~~~~~~~~~")):
            sql = f"select v, '{n}' from shared where id = 1"
            known = set(answers(redis))
            told = rows(to_a, sql)
            name = wait_for(lambda: set(answers(redis)) - known, 20, "it is in Redis").pop()
            words = damage.format(name).split()
            if words[0] == "setrange" and words[2] == "-20":
                words[2] = str(int(redis.cli("-n", "3", "strlen", name)) - 20)
            redis.cli("-n", "3", *words)
            shared = counts(b)["shared_hits"]
            assert rows(to_b, sql) == told
            assert counts(b)["shared_hits"] == shared, damage


def test_a_proxy_killed_in_the_midst_of_a_write_leaves_nobody_believing_old_answers(db, redis):
    with two(db, redis) as ((a, to_a), (b, to_b)):
        value(to_b)
        rows(to_a, "begin"), rows(to_a, "update shared set v = 31337")
        a.process.kill()
        a.process.wait(20 * PATIENCE)
        db.wait_for_no_transaction()
        assert value(to_b) == int(db.sql("select v from shared where id = 1"))


def test_the_cli_takes_a_tier_for_a_mysql_config(db):
    with Redis(password="redis-secret-92") as redis, Hyperdrive() as hd:
        hd.create("tiered", db.url(), "--invalidation", "writes", "--cache-url",
                  f"redis://:redis-secret-92@127.0.0.1:{redis.port}/0")
        assert "redis-secret-92" not in hd("get", "tiered", "--all")
        there = urllib.parse.urlsplit(hd.start("tiered"))
        c = pymysql.connect(host=there.hostname, port=there.port, user=there.username, password=there.password,
                            database=there.path[1:], autocommit=True)
        with contextlib.closing(c):
            wait_for(lambda: rows(c, READ) and redis.cli("--scan", "--pattern", "hd:*:a:*").strip(), 20, "it is in Redis")
        assert "redis-secret-92" not in hd("logs", "tiered")


# --- another origin ---------------------------------------------------------------------------------

def test_a_reload_that_brings_another_origin_shares_nothing_with_the_old_one(db, redis):
    db.sql("create database if not exists elsewhere; create or replace table elsewhere.shared (id int primary key, v int);"
           "insert into elsewhere.shared values (1, -77)")
    with two(db, redis) as ((a, to_a), (b, to_b)):
        assert a.reload(origin={"database": "elsewhere"})[0] == 200
        a.database = "elsewhere"
        wait_for(lambda: shares(a), 20, "the tier of the new origin is used")
        with client(a) as there:
            wait_for(lambda: value(there) == -77 and hits(a, there, READ), 20, "it is cached")
            wait_for(lambda: len({name.split(":")[1] for name in answers(redis)}) == 2, 20, "it is in Redis, apart")
            for v in range(3):
                rows(there, f"update shared set v = {-77 - v}")
                assert value(there) == -77 - v
                rows(to_b, f"update shared set v = {v}")
                assert value(to_b) == v and value(there) == -77 - v


# --- under fire -------------------------------------------------------------------------------------

@pytest.mark.parametrize("mode", ["writes", "replication"])
def test_versions_never_go_backwards_through_either_proxy(db, redis, mode):
    """Writers on both, readers on both; whoever has been told of a version never reads an older one."""
    print("seed", SEED)
    acknowledged, stop, failures, checks = [0], threading.Event(), [], [0]
    # A CALL ends everything until the catalog has been read again: hardly a hit would be left.
    told = [write for write in WRITES[:5] if not write.startswith("call")]
    db.sql("update shared set v = 0")
    with two(db, redis, mode, workers=2) as ((a, _), (b, _)):
        lock = threading.Lock()

        def write(p, rng):
            with client(p) as c:
                while not stop.is_set():
                    with lock:
                        v = acknowledged[0] + 1
                        for part in rng.choice(told).replace("{v}", str(v)).split("; "):
                            rows(c, part)
                        acknowledged[0] = v
                    stop.wait(rng.random() / 20)

        def read(p, shape):
            with contextlib.ExitStack() as stack:
                c = stack.enter_context(client(p) if shape == "text" else Raw(p))
                statement = c.prepare("select v from shared where id = ?") if shape == "binary" else None
                while not stop.is_set():
                    known = acknowledged[0]
                    if shape == "text":
                        seen = value(c)
                    else:
                        # Sequence and bytes of each packet; the row is the one behind the columns.
                        seen = int.from_bytes(c.execute(statement, 1)[-2][1][2:6], "little", signed=True)
                    checks[0] += 1
                    if seen < known:
                        failures.append((shape, seen, known))
                        return stop.set()

        def guarded(task, *args):
            try:
                task(*args)
            except Exception as error:   # shown below; a thread's own would be lost
                failures.append(error)
                stop.set()
        rng = random.Random(SEED)
        threads = [threading.Thread(target=guarded, args=(write, p, random.Random(rng.random()))) for p in (a, b)]
        threads += [threading.Thread(target=guarded, args=(read, p, shape)) for p in (a, b) for shape in ("text", "binary")]
        [t.start() for t in threads]
        stop.wait(6)
        wait_for(lambda: failures or (acknowledged[0] > 50 and checks[0] > 500), 30, "enough is written and read")
        stop.set()
        [t.join(30 * PATIENCE) for t in threads]
        served = sum(counts(p)["hit"] for p in (a, b))
    assert not failures, failures[0]
    assert acknowledged[0] > 50 and checks[0] > 500 and served > 20, (acknowledged, checks, served)
    print(checks[0], "checks,", acknowledged[0], "versions,", served, "hits")
