"""Truth under fire: whichever way a write reaches a table, no reader sees less than what was acknowledged before it asked."""

import asyncio
import random
import threading
import time

import asyncpg
import psycopg
import pytest

from support import pgwire
from support.fire_scenes import CALLED, CONVERTED, DDL, PLAIN, REACH, SCENES
from support.herd import herd
from support.pgwire import Connection, Refused, bind, close, describe, execute, parse
from support.ports import PATIENCE, wait_for
from support.postgres import Postgres
from support.proxy import Proxy

SEED = random.randrange(1 << 30)
RETRY = {"0A000", "42P01", "42P05", "XX000", "40001"}   # what DDL does to a reader without a proxy, too


@pytest.fixture(scope="module")
def pg():
    with Postgres(settings={"wal_level": "logical", "max_prepared_transactions": 10, "synchronous_commit": "on"}) as pg:
        yield pg


def prepare(pg, scenes=SCENES):
    pg.psql("drop owned by app cascade; drop schema if exists public cascade; create schema public authorization app")
    pg.psql("".join(f"set role app; {scene.setup}" for scene in scenes))


def proxy(pg, mode, limit=16, **caching):
    return Proxy(pg, caching={"disabled": False} | caching, origin_connection_limit=limit, local={"invalidation": mode, "session_features": "pin"})


# --- readers: one for each shape in which drivers ask -------------------------------------------------

def last_value(messages) -> int:
    for kind, body in messages:
        if kind == "E":
            raise Refused(pgwire.error_fields(body))
    return int(pgwire.data_row(next(body for kind, body in messages if kind == "D"))[-1])


class Raw:
    def __init__(self, url):
        self.c, self.names = Connection.open(url), {}

    def parameters(self, sql):
        return (sql.replace("= 1", "= $1"), ["1"]) if sql.count("= 1") == 1 else (sql, [])

    def close(self):
        self.c.close()


class Simple(Raw):
    def read(self, sql):
        return int(self.c.query(sql)[0][-1])


class Unnamed(Raw):
    def read(self, sql):
        sql, values = self.parameters(sql)
        self.c.send(parse("", sql), bind("", "", values), describe("P"), execute(), pgwire.SYNC)
        return last_value(self.c.until_ready())


class TwoSyncs(Raw):
    def read(self, sql):
        sql, values = self.parameters(sql)
        self.c.send(parse("", sql), describe("S"), pgwire.SYNC)
        first = self.c.until_ready()
        self.c.send(bind("", "", values), execute(), pgwire.SYNC)
        return last_value([m for m in first if m[0] == "E"] + self.c.until_ready())


class Flushed(Raw):
    def read(self, sql):
        sql, values = self.parameters(sql)
        self.c.send(parse("", sql), describe("S"), pgwire.FLUSH)
        first = self.c.until("T", "E")
        self.c.send(bind("", "", values), execute(), pgwire.SYNC)
        return last_value([m for m in first if m[0] == "E"] + self.c.until_ready())


class Warm(Raw):
    def read(self, sql):
        sql, values = self.parameters(sql)
        if sql not in self.names:
            self.names[sql] = f"r{len(self.names)}"
            self.c.send(parse(self.names[sql], sql), describe("S", self.names[sql]), pgwire.SYNC)
            if any(kind == "E" for kind, _ in self.c.until_ready()):
                self.names.pop(sql)
                return self.read(sql)
        self.c.send(bind("", self.names[sql], values), execute(), pgwire.SYNC)
        answer = self.c.until_ready()
        if any(kind == "E" for kind, _ in answer):
            self.c.query(f"deallocate {self.names.pop(sql)}")
        return last_value(answer)


class Pipelined(Raw):
    """The same question three times in one write; the oldest answer counts."""

    def read(self, sql):
        sql, values = self.parameters(sql)
        self.c.send((parse("", sql) + bind("", "", values) + describe("P") + execute() + pgwire.SYNC) * 3)
        answers = [self.c.until_ready() for _ in range(3)]
        return min(last_value(answer) for answer in answers)


class Portioned(Raw):
    """As pg-cursor asks: a portal with a row limit, then what follows, then Sync."""

    def read(self, sql):
        sql, values = self.parameters(sql)
        self.c.send(parse("", sql), bind("cursor", "", values), describe("P", "cursor"), execute("cursor", 1), pgwire.FLUSH)
        first = self.c.until("s", "C", "E")
        self.c.send(close("P", "cursor"), pgwire.SYNC)
        return last_value(first + self.c.until_ready())


class Declared(Raw):
    """A cursor that SQL declares, in a transaction of its own."""

    def read(self, sql):
        try:
            return int(self.c.query(f"begin; declare f cursor for {sql}; fetch all from f; commit")[0][-1])
        except Refused:
            self.c.query("rollback")
            raise


class Psycopg:
    def __init__(self, url):
        self.c = psycopg.connect(url, autocommit=True)

    def read(self, sql):
        if sql.count("= 1") == 1 and "%" not in sql:
            return int(self.c.execute(sql.replace("= 1", "= %s"), (1,)).fetchone()[-1])
        return int(self.c.execute(sql).fetchone()[-1])

    def close(self):
        self.c.close()


class Asyncpg:
    def __init__(self, url):
        self.loop = asyncio.new_event_loop()
        self.c = self.loop.run_until_complete(asyncpg.connect(url))

    def read(self, sql):
        sql, values = (sql.replace("= 1", "= $1"), (1,)) if sql.count("= 1") == 1 else (sql, ())
        return int(self.loop.run_until_complete(self.c.fetchrow(sql, *values))[-1])

    def close(self):
        self.loop.run_until_complete(self.c.close())
        self.loop.close()


SHAPES = (Simple, Unnamed, TwoSyncs, Flushed, Warm, Pipelined, Portioned, Declared, Psycopg, Asyncpg)


class Crowd:
    """A reader thread for each shape; all read what `reads` says, and note whoever sees less than `told`."""

    def __init__(self, url, shapes=SHAPES):
        self.url, self.reads, self.told, self.done = url, (), {}, False
        self.checks, self.errors, self.wrong, self.broken = 0, 0, [], []
        self.rounds = {number: 0 for number in range(len(shapes))}
        self.seen = {number: {} for number in range(len(shapes))}
        self.threads = [threading.Thread(target=self.run, args=(n, shape), daemon=True) for n, shape in enumerate(shapes)]

    def run(self, number, shape):
        try:
            reader = shape(self.url)
            while not self.done:
                for scene, sql in self.reads:
                    self.read(number, reader, scene, sql)
                self.rounds[number] += 1
                if not self.reads:
                    time.sleep(0.001)
            reader.close()
        except BaseException as error:
            self.broken.append(f"{shape.__name__}: {error!r}")

    def read(self, number, reader, scene, sql):
        least = self.told.get(scene, 0)
        try:
            seen = reader.read(sql)
        except (Refused, psycopg.Error, asyncpg.PostgresError, RuntimeError) as error:
            code = getattr(error, "code", None) or getattr(error, "sqlstate", None)
            if code not in RETRY:
                raise
            self.errors += 1
            return
        self.checks += 1
        self.seen[number][scene, sql] = seen
        if seen < least:
            self.wrong.append((scene, type(reader).__name__, sql, f"saw {seen} after {least}"))

    def go_round(self, times):
        """Until every reader has begun and ended so many rounds."""
        goal = {number: done + times for number, done in self.rounds.items()}
        wait_for(lambda: self.broken or all(self.rounds[n] >= goal[n] for n in goal), 20, "the readers read", every=0.001)
        assert not self.broken, self.broken

    def wait_for_a_hit(self, p):
        """After DDL nothing is stored until the catalog has been read again."""
        before = hits(p)
        wait_for(lambda: self.broken or hits(p) > before, 5, f"a hit on {self.reads}")

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *exc):
        self.done = True
        for thread in self.threads:
            thread.join(80)


def hits(p):
    return p.stats()["cache"]["hit"]


def settle(crowd, version):
    """Until each reader itself has seen this version of every read; then no question of before is on its way any more.
    What somebody has not seen in time."""
    def late():
        return {read for seen in crowd.seen.values() for read in crowd.reads if seen.get(read, 0) < version}
    deadline = time.monotonic() + 5 * PATIENCE
    while late() and not crowd.broken and time.monotonic() < deadline:
        time.sleep(0.001)
    return sorted(late())


def play(p, url, crowd, scene, versions, late=None):
    """Returns how many hits there were while the versions went up."""
    with Connection.open(url) as writer:
        return play_with(p, writer, crowd, scene, versions, late)


def play_with(p, writer, crowd, scene, versions, late):
    before = hits(p)
    crowd.reads = [(scene.name, sql) for sql in scene.reads]
    crowd.go_round(2)
    if scene.cached:
        crowd.wait_for_a_hit(p)
    for version in range(1, versions + 1):
        scene.write(writer, version)
        if late is not None:
            late += settle(crowd, version)
        crowd.told[scene.name] = version
        crowd.go_round(2 if version % 3 else 3)
    crowd.reads = ()
    return hits(p) - before


def report(what, crowd, seen):
    cold = [name for name, count in seen.items() if not count]
    print(f"{what}: seed {SEED}, {crowd.checks} checks, {crowd.errors} retried, {len(crowd.wrong)} violations, "
          f"hits {sum(seen.values())}, without a hit: {cold}")
    assert not crowd.wrong, (sorted({scene for scene, *_ in crowd.wrong}), crowd.wrong[:8])
    return cold


@pytest.mark.parametrize("scenes", [PLAIN, REACH, CALLED, CONVERTED, DDL],
                         ids=["plain", "reach", "called", "converted", "ddl"])
def test_a_write_through_the_proxy_is_seen_by_every_shape_at_once(pg, scenes):
    prepare(pg, scenes)
    with proxy(pg, "writes") as p, Crowd(p.url()) as crowd:
        seen = {scene.name: play(p, p.url(), crowd, scene, 6) for scene in scenes}
        cold = report("writes", crowd, seen)
    assert len(cold) <= len(scenes) // 3, cold


def test_writers_on_many_tables_at_the_same_time(pg):
    prepare(pg)
    chosen = random.Random(SEED).sample(PLAIN[:-2] + REACH[:13], 12)
    with proxy(pg, "writes") as p, Crowd(p.url()) as crowd:
        crowd.reads = [(scene.name, sql) for scene in chosen for sql in scene.reads]
        end = time.monotonic() + 5

        def write(scenes):
            with Connection.open(p.url()) as writer:
                version = 0
                while time.monotonic() < end or (version < 4 and not crowd.broken):
                    version += 1
                    for scene in scenes:
                        scene.write(writer, version)
                        crowd.told[scene.name] = version
                    time.sleep(0.03)
        writers = [threading.Thread(target=write, args=(chosen[n::3],)) for n in range(3)]
        for thread in writers:
            thread.start()
        for thread in writers:
            thread.join()
        crowd.go_round(2)
        report("at once", crowd, {"all": hits(p)})
        assert crowd.checks > 500 and hits(p) > 50
        assert min(crowd.told.get(scene.name, 0) for scene in chosen) > 3, crowd.told


def test_replication_shows_writes_past_the_proxy(pg):
    prepare(pg)
    scenes = [scene for scene in PLAIN + REACH if scene.streamed]
    late = []
    with proxy(pg, "replication") as p, Crowd(p.url(), SHAPES[:5]) as crowd:
        seen = {scene.name: play(p, pg.url(), crowd, scene, 2, late) for scene in scenes}
        report("replication", crowd, seen)
    assert not late, late


def test_rows_of_one_role_never_reach_another(pg):
    pg.psql("""drop schema if exists public cascade; create schema public authorization app;
               drop role if exists anna; drop role if exists bert; create role anna; create role bert;
               create table own (owner name, v int); insert into own values ('anna', 1), ('bert', 2);
               alter table own enable row level security; create policy p on own using (owner = current_user);
               create view own_view with (security_invoker) as select * from own;
               create table rights (v int); insert into rights values (3); grant select on rights to anna;
               grant usage on schema public to anna, bert; grant select on own, own_view to anna, bert""")
    with proxy(pg, "writes") as p:
        sessions = {role: [shape(p.url(), options=f"-c role={role}") for shape in (RawOf(s) for s in SHAPES[:5])]
                    for role in ("anna", "bert")}
        checks = 0
        for _ in range(20):
            for role, value in (("anna", 1), ("bert", 2)):
                for session in sessions[role]:
                    for sql in ("select v from own", "select max(v) from own_view"):
                        assert session.read(sql) == value, (role, type(session).__name__, sql)
                        checks += 1
        for _ in range(5):
            for session in sessions["anna"]:
                assert session.read("select v from rights") == 3
            for session in sessions["bert"]:
                with pytest.raises(Refused) as refused:
                    session.read("select v from rights")
                assert refused.value.code == "42501"
                checks += 1
        for session in sessions["anna"] + sessions["bert"]:
            session.close()
    print(f"roles: {checks} checks")


def RawOf(shape):
    """The shape over a connection with startup parameters of its own."""
    class Opened(shape):
        def __init__(self, url, **parameters):
            self.c, self.names = Connection.open(url, **parameters), {}
    return Opened


def test_500_clients_on_one_cold_key_ask_the_origin_once(pg):
    def right(answer):
        assert pgwire.data_row(dict(answer)["D"])[0] == b"7"

    pg.psql("drop schema if exists public cascade; create schema public authorization app; set role app; "
            "create table cold (v int); insert into cold values (7)")
    with proxy(pg, "writes", limit=20) as p:
        clients = [Connection.open(p.url()) for _ in range(500)]
        many, asked, seen = herd(pg, p, clients, "cold", right)
        for c in clients:
            c.close()
    # Who was read only after the answer had come has hit it.
    assert asked == seen["miss"] - seen["coalesced"] == 1 and seen["coalesced"] > 0, (asked, seen)
    assert seen["miss"] + seen["hit"] == many, seen


def test_an_origin_that_dies_leaves_its_fresh_answers_and_then_a_clean_error():
    with Postgres(settings={"synchronous_commit": "on"}) as own:
        own.psql("set role app; create table kept (v int); insert into kept values (5)")
        with proxy(own, "none", max_age=2, stale_while_revalidate=2) as p, Connection.open(p.url()) as c:
            assert [int(c.value("select v from kept")) for _ in range(3)] == [5, 5, 5]
            own.stop(9)
            end, answers = time.monotonic() + 15 * PATIENCE, 0
            try:
                while time.monotonic() < end:
                    assert c.value("select v from kept") == "5"
                    answers += 1
                    time.sleep(0.01)
                raise AssertionError("answers older than max_age and stale_while_revalidate")
            except Refused as refused:
                assert refused.fields["S"] in ("ERROR", "FATAL") and refused.code[:2] in ("08", "57", "58"), refused.fields
            assert answers > 5, answers
            own.start()

            def back():
                with Connection.open(p.url()) as again:
                    return again.value("select v from kept") == "5"
            wait_for(lambda: attempt(back), 15, "it answers again")


def attempt(ask):
    try:
        return ask()
    except (Refused, pgwire.Closed) as error:
        raise OSError(str(error)) from error
