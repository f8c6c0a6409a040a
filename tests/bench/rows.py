"""The rows of the Postgres plane and of the CLI, and what all rows share."""

import os
import resource
import shutil
import sqlite3
import statistics
import subprocess
import tempfile
import time
from functools import cached_property

from support.hyperdrive import Hyperdrive
from support.pgwire import Connection, query

from . import mysql, servers
from .measure import in_turns, pgbench, resident_kb
from .row import Row

MODES = ("simple", "extended", "prepared")


class Bench:
    """What the rows share: databases with data, the hot-key script, how long to measure."""

    def __init__(self, short: bool):
        self.rounds = 1 if short else 3
        self.seconds = 1 if short else 3
        self.scale = 1 if short else 10
        self.many = 200 if short else 2000
        self.busy = 100 if short else 1000
        self.configs = 500 if short else 10_000
        self.folder = tempfile.mkdtemp(prefix="hd-bench-")
        self.hot = os.path.join(self.folder, "hot.sql")
        with open(self.hot, "w") as f:
            f.write("\\set aid random(1, 1000)\nSELECT abalance FROM pgbench_accounts WHERE aid = :aid;\n")
        self.pooled_peer_cpu: dict[str, float] = {}

    @cached_property
    def pg(self):
        return servers.postgres(self.scale)

    @cached_property
    def mariadb(self):
        return servers.mariadb()

    def close(self):
        for name in ("pg", "mariadb"):
            if name in self.__dict__:
                getattr(self, name).__exit__(None, None, None)
        shutil.rmtree(self.folder, ignore_errors=True)

    def turns(self, targets, times: int = 1, **how):
        """`times`: as many rounds, each as much shorter; neighbours on the machine come and go."""
        how = {"seconds": self.seconds} | how
        how["seconds"] = max(round(how["seconds"] / times), 1)
        for each in targets:  # warm: connections, plans, caches
            pgbench(each, **(how | {"seconds": 1, "latencies": False}))
        return in_turns(targets, self.rounds * times, lambda each: pgbench(each, **how))


def pooled(bench: Bench):
    ours = servers.proxy(bench.pg, cached=False, pool=20)
    peer = servers.pgbouncer(bench.pg, "scram-sha-256", 20)
    relay = servers.Own("relay", str(bench.pg.port))
    try:
        for mode in MODES:
            # PgBouncer 1.18 knows no prepared statements: that column compares with its extended one.
            peer_mode = "extended" if mode == "prepared" else mode
            mine, other, bare = (servers.target("ours", ours, bench.scale),
                                 servers.target("pgbouncer", peer, bench.scale),
                                 servers.target("relay", relay, bench.scale))
            how = {"ours": mode, "pgbouncer": peer_mode, "relay": mode}
            for each in (mine, other, bare):
                pgbench(each, mode=how[each.name], seconds=1)
            got = in_turns([mine, other, bare], bench.rounds,
                           lambda each: pgbench(each, mode=how[each.name], seconds=bench.seconds))
            a, b, r = got["ours"], got["pgbouncer"], got["relay"]
            bench.pooled_peer_cpu[mode] = b.cpu_us
            yield Row(f"pooled {mode}: CPU per query / PgBouncer", a.cpu_us, b.cpu_us, "µs",
                      a.cpu_us / b.cpu_us, 1.0, 0.7, True)
            yield Row(f"pooled {mode}: tps / PgBouncer", a.tps, b.tps, "q/s", a.tps / b.tps, 1.0, 1.2, False)
            yield Row(f"pooled {mode}: CPU per query / bare relay", a.cpu_us, r.cpu_us, "µs",
                      a.cpu_us / r.cpu_us, None, 1.0, True)
        yield from one_client(bench, ours, peer)
        yield from mostly_idle(bench, ours, peer)
        yield from saturated(bench, ours)
    finally:
        ours.__exit__(None, None, None)
        peer.stop()
        relay.stop()


def one_client(bench: Bench, ours, peer):
    targets = [servers.target("ours", ours, bench.scale), servers.target("pgbouncer", peer, bench.scale),
               servers.target("direct", bench.pg, bench.scale)]
    got = bench.turns(targets, times=4, clients=1, latencies=True)
    added = {name: max(got[name].p50 - got["direct"].p50, 1) for name in ("ours", "pgbouncer")}
    yield Row("one client: added p50 / PgBouncer", added["ours"], added["pgbouncer"], "µs",
              added["ours"] / added["pgbouncer"], 1.0, 0.7, True)


def mostly_idle(bench: Bench, ours, peer):
    targets = [servers.target("ours", ours, bench.scale), servers.target("pgbouncer", peer, bench.scale)]
    got = bench.turns(targets, times=3, clients=8, extra=("-R", "500"), seconds=bench.seconds * 2)
    a, b = got["ours"], got["pgbouncer"]
    yield Row("500 queries/s: CPU per query / PgBouncer", a.cpu_us, b.cpu_us, "µs", a.cpu_us / b.cpu_us, 1.0, 0.7, True)


def saturated(bench: Bench, ours):
    got = bench.turns([servers.target("ours", ours, bench.scale)], clients=bench.busy, latencies=True,
                      seconds=bench.seconds * 2)["ours"]
    yield Row(f"{bench.busy} clients saturated: p99 / p50", got.p99, got.p50, "µs", got.p99 / got.p50, 1.5, 1.1, True)


def hits(bench: Bench):
    ours = servers.proxy(bench.pg, cached=True, pool=20)
    limit = servers.Own("answerer")
    peer = servers.pgpool(bench.pg)
    try:
        for mode in MODES:
            targets = [servers.target("ours", ours), servers.target("limit", limit)]
            if mode != "prepared":
                targets.append(servers.target("pgpool", peer))
            got = bench.turns(targets, mode=mode, script=bench.hot)
            a, l = got["ours"], got["limit"]
            yield Row(f"hit {mode}: tps / limit", a.tps, l.tps, "q/s", a.tps / l.tps, 0.7, 0.9, False)
            yield Row(f"hit {mode}: CPU per query / limit", a.cpu_us, l.cpu_us, "µs", a.cpu_us / l.cpu_us, None, 1.2, True)
            pooled_cpu = bench.pooled_peer_cpu.get(mode)
            if pooled_cpu:
                yield Row(f"hit {mode}: CPU per query / PgBouncer's pooled query", a.cpu_us, pooled_cpu, "µs",
                          a.cpu_us / pooled_cpu, 0.55, 0.4, True)
            if mode != "prepared":
                bar, aim = (1.8, 2.4) if mode == "simple" else (12, 18)
                p = got["pgpool"]
                yield Row(f"hit {mode}: tps / pgpool-II", a.tps, p.tps, "q/s", a.tps / p.tps, bar, aim, False)
    finally:
        ours.__exit__(None, None, None)
        limit.stop()
        peer.stop()


def connects(bench: Bench):
    peer = servers.pgbouncer(bench.pg, "scram-sha-256", 20)
    try:
        for rounds, bar, aim in ((4096, 1.0, 1.1), (64, 5, 10)):
            ours = servers.proxy(bench.pg, cached=False, pool=20, rounds=rounds)
            try:
                targets = [servers.target("ours", ours, bench.scale), servers.target("pgbouncer", peer, bench.scale)]
                got = bench.turns(targets, clients=8, extra=("-C",))
                a, b = got["ours"], got["pgbouncer"]
                yield Row(f"connect+query+close, SCRAM {rounds} rounds: tps / PgBouncer", a.tps, b.tps, "1/s",
                          a.tps / b.tps, bar, aim, False)
            finally:
                ours.__exit__(None, None, None)
    finally:
        peer.stop()


def idle_clients(bench: Bench):
    ours = servers.proxy(bench.pg, cached=False, pool=20, rounds=64)
    peer = servers.pgbouncer(bench.pg, "trust", 20)
    try:
        each = {}
        for target in (servers.target("ours", ours), servers.target("pgbouncer", peer)):
            url = f"postgresql://{target.user}:{target.password}@127.0.0.1:{target.port}/{target.database}"
            warm = [Connection.open(url) for _ in range(20)]
            before = resident_kb(target.pid)
            held = [Connection.open(url) for _ in range(bench.many)]
            each[target.name] = (resident_kb(target.pid) - before) * 1024 / bench.many
            for connection in warm + held:
                connection.socket.close()
        a, b = each["ours"], max(each["pgbouncer"], 1)
        yield Row(f"idle client of {bench.many}: resident bytes / PgBouncer", a, b, "B", a / b, 1.5, 1.0, True)
    finally:
        ours.__exit__(None, None, None)
        peer.stop()


def start(bench: Bench):
    times, sizes = [], []
    for _ in range(3 * bench.rounds):
        begin = time.monotonic()
        ours = servers.proxy(bench.pg, cached=True, pool=20, rounds=64)
        try:
            connection = Connection.open(ours.url())
            connection.send(query("select 1"))
            connection.until_ready()
            times.append((time.monotonic() - begin) * 1000)
            connection.socket.close()
            ours.wait_quiet()
            sizes.append(resident_kb(ours.process.pid) / 1024)
        finally:
            ours.__exit__(None, None, None)
    first, size = statistics.median(times), statistics.median(sizes)
    yield Row("proxy start to first answer", first, None, "ms", first, 150, 50, True)
    yield Row("resident size of an idle proxy", size, None, "MB", size, 16, 8, True)


def commands(turn: int):
    """Each kind of command that needs no proxy and no network; `turn` tells the creates apart."""
    url = "postgresql://u:p@127.0.0.1/d"
    return [["list"], ["list", "--json"], ["export"], ["export", "--json"], ["status", "--all"], ["status", "--all", "--json"], ["doctor"],
            ["get", "first"], ["get", "frist"], ["url", "first"], ["env", "first"], ["status"], ["stop", "first"], ["export", "first"],
            ["update", "first", "--max-age", "5"], ["create", f"made-{turn}", "--connection-string", url, "--no-verify"],
            ["delete", f"made-{turn}", "--yes"], ["cert", "list"], ["__complete", "--", "get", ""], ["--help"], ["--version"]]


def command_line(bench: Bench):
    """Each command's best of nine: a neighbour's work in between is not the command's."""
    walls, cpus = {}, {}
    with Hyperdrive() as hd:
        hd.create("first", bench.pg.url(), "--caching-disabled", "true")
        fill(hd.home, bench.configs)
        for turn in range(9):
            for words in commands(turn):
                name = words[0] if words[0] in ("create", "delete") else " ".join(words)
                begin, spent = time.monotonic(), children_cpu()
                subprocess.run([os.path.join(os.environ["HYPERDRIVE_BIN"], "hyperdrive"), *words], env=hd.env,
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                walls.setdefault(name, []).append((time.monotonic() - begin) * 1000)
                cpus.setdefault(name, []).append((children_cpu() - spent) * 1000)
        empty(hd.home)
    for what, times in (("slowest", walls), ("most CPU", cpus)):
        best = {name: min(each) for name, each in times.items()}
        print(f"{what}: " + ", ".join(f"{name} {ms:.1f}" for name, ms in sorted(best.items(), key=lambda each: -each[1])))
        name = max(best, key=best.get)
        yield Row(f"{what} command on {bench.configs} configs: {name}", best[name], None, "ms", best[name], 30, 10, True)


def children_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def registry(home: str) -> sqlite3.Connection:
    files = [os.path.join(at, file) for at, _, found in os.walk(home) for file in found if file.endswith(".db")]
    return sqlite3.connect(files[0])


def fill(home: str, count: int):
    """Copies the first config, with other names, ids and ports."""
    db = registry(home)
    columns = [row[1] for row in db.execute("pragma table_info(configs)") if row[1] != "sequence"]
    values = dict(zip(columns, db.execute(f"select {','.join(columns)} from configs").fetchone()))
    rows = [tuple((values | {"id": f"{i:032x}", "name": f"config-{i}", "local_port": 100_000 + i}).values())
            for i in range(1, count)]
    db.executemany(f"insert into configs ({','.join(columns)}) values ({','.join('?' * len(columns))})", rows)
    db.commit()
    db.close()


def empty(home: str):
    """Removes the copies, or stopping what runs would take a command for each."""
    db = registry(home)
    db.execute("delete from configs where name like 'config-%'")
    db.commit()
    db.close()


ALL = {"pooled": pooled, "hits": hits, "connects": connects, "idle": idle_clients, "start": start, "cli": command_line,
       **mysql.ALL}
