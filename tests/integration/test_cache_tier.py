"""The cache tier that proxies share in Redis: answers travel, writes through one are seen through the other, gaps heal."""

import contextlib
import itertools
import random
import threading

import pytest

from support.far import FarAway
from support.hyperdrive import Hyperdrive
from support.pgwire import Connection, bind, describe, execute, parse, SYNC
from support.ports import PATIENCE, wait_for
from support.postgres import Postgres
from support.redis import Redis
from support.tiers import answers, shares, sharing

READ = "select v from shared where id = 1"
SEED = random.randrange(1 << 30)


@pytest.fixture(scope="module")
def pg():
    with Postgres() as pg:
        pg.psql("create table shared (id int primary key, v int); insert into shared values (1, 0);"
                "create table other (id int primary key, v int); insert into other values (1, 0)", user="app")
        yield pg


@pytest.fixture()
def redis():
    with Redis() as redis:
        yield redis


def proxy(pg, redis, mode="writes", **local):
    return sharing(pg, redis, 6, mode, **local)


@contextlib.contextmanager
def two(pg, redis, mode="writes", **local):
    """Two proxies that know each other's writes, with a connection to each."""
    with proxy(pg, redis, mode, **local) as a, proxy(pg, redis, mode, **local) as b:
        for p in (a, b):
            wait_for(lambda: shares(p), 20, "the tier is used")
        with Connection.open(a.url()) as to_a, Connection.open(b.url()) as to_b:
            # Both have read the catalogs again since the other one came.
            for p, c in ((a, to_a), (b, to_b)):
                wait_for(lambda: hits(p, c, READ), 20, "it is cached")
            yield (a, to_a), (b, to_b)


def hits(p, c, sql) -> bool:
    before = p.stats()["cache"]["hit"]
    c.query(sql)
    return p.stats()["cache"]["hit"] > before


def unnamed(c, sql, *values):
    c.send(parse("", sql), bind("", "", list(values)), describe("P"), execute(), SYNC)
    return c.until_ready()


@pytest.mark.parametrize("mode", ["none", "writes"])
def test_an_answer_that_one_proxy_got_is_served_by_the_other(pg, redis, mode):
    with two(pg, redis, mode) as ((a, to_a), (b, to_b)):
        sql = "select v, 'told once' from shared where id = $1"
        first = unnamed(to_a, sql, "1")
        wait_for(lambda: redis.cli("-n", "3", "--scan", "--pattern", "hd:*:a:*").count("hd:") >= 2, 20, "it is in Redis")
        asked = b.stats()["cache"]["miss"]
        assert unnamed(to_b, sql, "1") == first
        assert b.stats()["cache"]["miss"] == asked and b.stats()["cache"]["shared_hits"] >= 1


def test_a_write_through_one_proxy_is_seen_through_the_other_at_once(pg, redis):
    with two(pg, redis) as ((a, to_a), (b, to_b)):
        for v in range(1, 60):
            writer, reader = (to_a, to_b) if v % 2 else (to_b, to_a)
            to_a.query(READ), to_b.query(READ)
            writer.query(f"update shared set v = {v}")
            assert reader.value(READ) == str(v) and writer.value(READ) == str(v)


def test_a_write_waits_until_a_far_redis_can_tell_the_others(pg, redis):
    far = FarAway(redis.port, 25)
    with proxy(pg, redis, cache_url=f"redis://127.0.0.1:{far.port}/3") as a, proxy(pg, redis) as b:
        for p in (a, b):
            wait_for(lambda: shares(p), 20, "the tier is used")
        with Connection.open(a.url()) as to_a, Connection.open(b.url()) as to_b:
            for v in range(200, 206):
                wait_for(lambda: hits(b, to_b, READ), 20, "it is cached")
                if v % 2:
                    unnamed(to_a, "update shared set v = $1", str(v))
                else:
                    to_a.query(f"update shared set v = {v}")
                assert to_b.value(READ) == str(v)
        assert shares(a)


def test_nobody_keeps_what_is_being_written(pg, redis):
    with two(pg, redis) as ((a, to_a), (b, to_b)):
        to_a.query("begin")
        to_a.query("update shared set v = v + 1000")
        before = b.stats()["cache"]["hit"]
        old = to_b.value(READ)
        to_b.query(READ)
        assert b.stats()["cache"]["hit"] == before, "a write is under way at the other proxy"
        to_a.query("commit")
        assert int(to_b.value(READ)) == int(old) + 1000
        wait_for(lambda: hits(b, to_b, READ), 20, "it is cached again")


def test_a_rollback_lets_the_others_keep_answers_again(pg, redis):
    with two(pg, redis) as ((a, to_a), (b, to_b)):
        value = to_b.value(READ)
        to_a.query("begin"), to_a.query("update shared set v = -1"), to_a.query("rollback")
        assert to_b.value(READ) == value
        wait_for(lambda: hits(b, to_b, READ), 20, "it is cached again")


def test_a_view_that_one_proxy_changes_is_read_anew_by_the_other(pg, redis):
    pg.psql("create or replace view chosen as select v from shared", user="app")
    sql = "select v from chosen where v is not null limit 1"
    with two(pg, redis) as ((a, to_a), (b, to_b)):
        wait_for(lambda: hits(b, to_b, sql), 20, "it is cached")
        to_a.query("create or replace view chosen as select v from other")
        to_b.query(sql)
        to_b.query(sql)
        to_a.query("update other set v = 777")   # the dependency that only the new definition has
        assert to_b.value(sql) == "777"


@pytest.mark.parametrize("what", ['{"table": "shared"}', '{"all": true}', '{"query": "%s"}' % READ, '{"tag": "purged"}'])
def test_a_purge_holds_for_all_proxies_when_it_has_been_answered(pg, redis, what):
    read = READ + " /* hyperdrive: tag=purged */" if "tag" in what else READ
    with two(pg, redis) as ((a, to_a), (b, to_b)):
        for p, c in ((a, to_a), (b, to_b)):
            wait_for(lambda: hits(p, c, read), 20, "it is cached")
        for v in range(4320, 4330):
            pg.psql(f"update shared set v = {v}", user="app")   # past both
            code, body = a.admin("POST", "/v1/purge", what)
            assert code == 200 and "warning" not in body, body
            assert to_b.value(read) == str(v) and to_a.value(read) == str(v)


def test_a_purged_answer_does_not_come_back_from_the_tier_where_writes_are_not_obeyed(pg, redis):
    with proxy(pg, redis, "none") as a, Connection.open(a.url()) as to_a:
        wait_for(lambda: shares(a) and hits(a, to_a, READ), 20, "it is cached")
        wait_for(lambda: "hd:" in redis.cli("-n", "3", "--scan", "--pattern", "hd:*:a:*"), 20, "it is in Redis")
        for v in range(30, 34):
            pg.psql(f"update shared set v = {v}", user="app")
            assert a.admin("POST", "/v1/purge", '{"table": "shared"}')[0] == 200
            assert to_a.value(READ) == str(v)


def test_a_purge_that_redis_does_not_hear_of_says_so_and_is_made_good(pg, redis):
    with proxy(pg, redis, "none") as a, Connection.open(a.url()) as to_a:
        wait_for(lambda: shares(a) and hits(a, to_a, READ), 20, "it is cached")
        wait_for(lambda: "hd:" in redis.cli("-n", "3", "--scan", "--pattern", "hd:*:a:*"), 20, "it is in Redis")
        redis.pause()
        pg.psql("update shared set v = 17", user="app")
        wait_for(lambda: to_a.query(f"select {random.randrange(1 << 30)}") and not shares(a), 20, "Redis is missed")
        assert "could not be told" in a.admin("POST", "/v1/purge", '{"table": "shared"}')[1]
        redis.resume()
        wait_for(lambda: shares(a), 20, "Redis is used again")
        assert to_a.value(READ) == "17"


def test_what_the_proxy_refreshes_by_itself_is_given_to_the_others(pg, redis):
    lifetime = {"max_age": 3, "stale_while_revalidate": 60}
    with proxy(pg, redis, "none", caching=lifetime) as a, Connection.open(a.url()) as to_a:
        wait_for(lambda: shares(a) and hits(a, to_a, READ), 20, "it is cached")
        pg.psql("update shared set v = v + 1", user="app")
        fresh = pg.psql("select v from shared").strip()
        wait_for(lambda: to_a.value(READ) == fresh, 20, "it has been refreshed")
        assert a.stats()["cache"]["refreshes"] >= 1
        with proxy(pg, redis, "none", caching=lifetime) as b, Connection.open(b.url()) as to_b:
            wait_for(lambda: shares(b) and hits(b, to_b, "select 'anything'"), 20, "the tier is used")
            before = b.stats()["cache"]
            assert to_b.value(READ) == fresh
            after = b.stats()["cache"]
            assert (after["miss"], after["shared_hits"]) == (before["miss"], before["shared_hits"] + 1)


def test_without_redis_each_goes_on_alone_and_says_so_and_both_come_back(pg, redis):
    with two(pg, redis) as ((a, to_a), (b, to_b)):
        redis.stop()
        wait_for(lambda: not shares(a) and not shares(b), 20, "they say so")
        wait_for(lambda: hits(a, to_a, READ), 20, "it goes on with its own memory")
        to_b.query("update shared set v = 99")          # nobody can tell a of it
        assert to_b.value(READ) == "99"
        redis.start()
        wait_for(lambda: shares(a) and shares(b), 30, "they are back")
        assert to_a.value(READ) == "99", "what was missed in the gap is made good"


def test_a_redis_that_hangs_stops_nobody_for_long(pg, redis):
    with two(pg, redis) as ((a, to_a), (b, to_b)):
        redis.pause()
        to_a.query("update shared set v = 5")
        assert to_a.value(READ) == "5"
        wait_for(lambda: not shares(a), 20, "it is given up")
        redis.resume()
        wait_for(lambda: shares(a) and shares(b), 30, "they are back")
        assert to_b.value(READ) == "5"


def test_epochs_that_redis_lost_are_never_taken_for_old_ones(pg, redis):
    with two(pg, redis) as ((a, to_a), (b, to_b)):
        for v in (11, 12, 13):
            to_b.query(READ)
            to_a.query(f"update shared set v = {v}")
            redis.cli("-n", "3", "flushdb")
            assert to_b.value(READ) == str(v)


def test_a_proxy_killed_in_the_midst_of_a_write_leaves_nobody_believing_old_answers(pg, redis):
    with two(pg, redis) as ((a, to_a), (b, to_b)):
        to_b.query(READ)
        to_a.query("begin"), to_a.query("update shared set v = 31337")
        a.process.kill()
        a.process.wait(20 * PATIENCE)
        wait_for(lambda: pg.psql("select count(*) from pg_stat_activity where state like 'idle in%'").strip() == "0", 20,
                 "its transaction is gone")
        assert to_b.value(READ) == pg.psql("select v from shared where id = 1").strip()


def test_a_write_whose_proxy_is_gone_ends_the_answers_when_it_is_given_up(pg, redis):
    with two(pg, redis) as ((a, to_a), (b, to_b)):
        assert hits(b, to_b, READ)
        for name in redis.cli("-n", "3", "--scan", "--pattern", "hd:*:e:*").split():
            redis.cli("-n", "3", "zadd", name.replace(":e:", ":i:"), "1000", "dead.1")   # its lease has run out
        assert not hits(b, to_b, READ), "it may have been committed"
        wait_for(lambda: hits(b, to_b, READ), 20, "it is cached again")


def test_a_reload_that_brings_another_origin_shares_nothing_with_the_old_one(pg, redis):
    pg.psql("create database elsewhere owner app")
    pg.psql("create table shared (id int primary key, v int); insert into shared values (1, -77)", user="app", database="elsewhere")
    with two(pg, redis) as ((a, to_a), (b, to_b)):
        assert a.reload(origin={"database": "elsewhere"})[0] == 200
        a.database = "elsewhere"
        wait_for(lambda: shares(a), 20, "the tier of the new origin is used")
        with Connection.open(a.url()) as there:
            wait_for(lambda: there.value(READ) == "-77" and hits(a, there, READ), 20, "it is cached")
            wait_for(lambda: len({name.split(":")[1] for name in answers(redis)}) == 2, 20, "it is in Redis, apart")
            for v in range(3):
                there.query(f"update shared set v = {-77 - v}")
                assert there.value(READ) == str(-77 - v)
                to_b.query(f"update shared set v = {v}")
                assert to_b.value(READ) == str(v) and there.value(READ) == str(-77 - v)


def test_a_proxy_whose_caching_is_enabled_joins_the_others_at_once(pg, redis):
    with proxy(pg, redis) as a, proxy(pg, redis, caching={"disabled": True}) as b:
        with Connection.open(a.url()) as to_a, Connection.open(b.url()) as to_b:
            wait_for(lambda: hits(a, to_a, READ), 20, "it is cached")
            assert not hits(b, to_b, READ) and not hits(b, to_b, READ)
            assert b.reload(caching={"disabled": False})[0] == 200
            news = (f"select v, {i} from shared where id = 1" for i in itertools.count())

            def served():
                sql = next(news)
                return to_a.query(sql) and to_b.query(sql) and b.stats()["cache"]["shared_hits"] >= 1

            wait_for(served, 20, "what only the other one has asked is served")
            for v in range(300, 320):
                (to_a if v % 2 else to_b).query(f"update shared set v = {v}")
                assert to_a.value(READ) == to_b.value(READ) == str(v)


def test_the_password_is_used_and_never_shown(pg):
    with Redis(password="redis-secret-91") as redis, Hyperdrive() as hd:
        hd.create("tiered", pg.url(), "--invalidation", "writes", "--cache-url",
                  f"redis://:redis-secret-91@127.0.0.1:{redis.port}/0")
        assert "redis-secret-91" not in hd("get", "tiered", "--all")
        with Connection.open(hd.start("tiered")) as c:
            wait_for(lambda: c.value(READ) and redis.cli("--scan", "--pattern", "hd:*:a:*").strip(), 20, "it is in Redis")
        assert "redis-secret-91" not in hd("logs", "tiered")


def test_a_wrong_password_is_said_and_the_proxy_serves(pg):
    with Redis(password="right") as redis, proxy(pg, redis, cache_url=f"redis://127.0.0.1:{redis.port}/0") as p:
        with Connection.open(p.url()) as c:
            assert c.value("select 1") == "1"
        wait_for(lambda: any("NOAUTH" in w for w in p.status()["warnings"]), 20, "the reason is shown")


def test_versions_never_go_backwards_through_either_proxy(pg, redis):
    """Writers on both, readers on both; whoever has been told of a version never reads an older one."""
    print("seed", SEED)
    acknowledged, stop, failures, checks = [0], threading.Event(), [], [0]
    pg.psql("update shared set v = 0", user="app")
    with two(pg, redis, workers=2) as ((a, _), (b, _)):
        lock = threading.Lock()

        def write(url, rng):
            with Connection.open(url) as c:
                while not stop.is_set():
                    with lock:
                        v = acknowledged[0] + 1
                        if rng.random() < .5:
                            c.query(f"update shared set v = {v}")
                        else:
                            c.query("begin"), c.query(f"update shared set v = {v}"), c.query("commit")
                        acknowledged[0] = v
                    stop.wait(rng.random() / 20)

        def read(url, shape):
            with Connection.open(url) as c:
                while not stop.is_set():
                    known = acknowledged[0]
                    if shape == "simple":
                        seen = int(c.value(READ))
                    else:
                        seen = int(next(body for kind, body in unnamed(c, "select v from shared where id = $1", "1")
                                        if kind == "D")[6:])
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
        threads = [threading.Thread(target=guarded, args=(write, p.url(), random.Random(rng.random()))) for p in (a, b)]
        threads += [threading.Thread(target=guarded, args=(read, p.url(), shape)) for p in (a, b) for shape in ("simple", "extended")]
        [t.start() for t in threads]
        stop.wait(8)
        wait_for(lambda: failures or (acknowledged[0] > 50 and checks[0] > 500), 20, "enough is written and read")
        stop.set()
        [t.join(30 * PATIENCE) for t in threads]
        served = sum(p.stats()["cache"]["hit"] for p in (a, b))
    assert not failures, failures[0]
    assert acknowledged[0] > 50 and checks[0] > 500 and served > 20, (acknowledged, checks, served)
    print(checks[0], "checks,", acknowledged[0], "versions,", served, "hits")
