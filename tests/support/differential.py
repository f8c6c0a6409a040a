"""The model-based differential test: random legal frontend messages, sent to Postgres and through the proxy, compared.

A *sequence* is a list of steps for a few clients; a step is what one client writes at once and how its answer is read. It
is made from a seed alone (`Generator`), together with just enough of a model to stay legal: how many clients may hold an
origin connection at the same time, who is in a COPY, who owes a Sync. Everything else is fair: unknown names, names
twice, errors anywhere in a pipeline, several Syncs in one write, Flush, row limits, COPY with and without failure.

Not made yet: RESET ALL and DISCARD ALL inside a sequence (the report of application_name after them in `pin` differs,
docs/troubleshooting.md). A write that waits for another client's row lock stops both sides until the time-out: a long run
needs a lock_timeout on both databases.

    python3 -m support.differential --direct URL --proxied URL --seeds 0:200000 --pool 2 [--pin]

prints progress and, for a difference, the seed and the shortest sequence that still shows it.
"""

import argparse
import random
import socket
import sys
import time
from dataclasses import dataclass, field

from . import pgwire as w
from .ports import PATIENCE

# To be run in one database, of which the other is then made with TEMPLATE: OIDs appear in RowDescription.
SETUP = "create table t (k int primary key, v text)"

READS = [("select $1::int", 1), ("select * from t where k = $1 order by k", 1), ("select k, v from t order by k", 0),
         ("select generate_series(1, 7) as g", 0), ("select 1 / $1::int as q", 1), ("select $1::text as a, $2::text as b", 2),
         ("select count(*) from t", 0), ("select repeat('x', $1::int) as r", 1), ("values (1, 'one'), (2, 'two')", 0)]
WRITES = [("insert into t values ($1::int, $2)", 2), ("update t set v = $2 where k = $1::int returning k, v", 2),
          ("delete from t where k = $1::int", 1), ("insert into t select n, 'many' from generate_series(1000, 1100) n", 0)]
ODD = [("selec 1", 0), ("select * from missing", 0), ("", 0), ("-- nothing", 0), ("select $1::int + 'x'::int", 1)]
TRANSACTION = [("begin", 0), ("commit", 0), ("rollback", 0), ("savepoint s", 0), ("rollback to savepoint s", 0),
               ("release savepoint s", 0)]
SETTINGS = [("set timezone to 'Asia/Tokyo'", 0), ("reset timezone", 0), ("set local timezone to 'Europe/Paris'", 0),
            ("show timezone", 0), ("set datestyle to 'SQL, DMY'", 0), ("reset datestyle", 0), ("select now()::date is null", 0),
            ("set application_name to 'other'", 0), ("show application_name", 0), ("set statement_timeout to '55s'", 0),
            ("show statement_timeout", 0),
            ("select set_config('timezone', 'UTC', false)", 0), ("select set_config('timezone', 'Asia/Tokyo', true)", 0)]
SIMPLE = ["select 1; select 2", "begin; select 1", "select 1; commit", "begin; insert into t values (500, 'x'); commit",
          "select 1; select 1/0; select 3", "select k from t where k < 4 order by k; select 'b'", "begin; select 1/0; commit",
          "insert into t values (700, 'implicit'); select 1/0", "", ";", "select 1; begin; select 2"]
VALUES = [b"1", b"2", b"3", b"15", b"0", b"-5", b"100", b"abc", b"", b"900", None]
NAMES = ["", "a", "b"]
PORTALS = ["", "p"]


@dataclass
class Step:
    client: int
    messages: list[bytes]
    reading: list[str]      # for each answer to wait for, the message kinds that end it; 'E' ends all up to the next Z
    note: str = ""


@dataclass
class ClientModel:
    owes_sync: bool = False


@dataclass
class Generator:
    seed: int
    clients: int
    pool: int
    pin: bool = False
    pipelined: bool = True
    steps: list[Step] = field(default_factory=list)

    def __post_init__(self):
        self.random = random.Random(self.seed)
        self.models = [ClientModel() for _ in range(self.clients)]

    def text(self):
        kinds = [(READS, 10), (WRITES, 4), (ODD, 2), (TRANSACTION, 4)] + ([(SETTINGS, 4)] if self.pin else [])
        return self.random.choice(self.random.choices([k for k, _ in kinds], [n for _, n in kinds])[0])

    def values(self, count):
        return [self.random.choice(VALUES) for _ in range(count)]

    def one(self):
        """One random extended-protocol message, with the kinds that answer it."""
        r, name, portal = self.random, self.random.choice(NAMES), self.random.choice(PORTALS)
        what = r.choices(["parse", "bind", "describe", "execute", "close"], [4, 6, 3, 7, 1])[0]
        if what == "parse":
            return w.parse(name, self.text()[0], r.choice([(), (), (23,), (25,)])), "1"
        if what == "bind":
            formats = r.choice([(), (), (0,), (1,)]) if r.random() < .2 else ()
            return w.bind(portal, name, self.values(r.choice([0, 1, 1, 2])), formats, r.choice([(), (0,), (1,)])), "2"
        if what == "describe":
            return (w.describe("S", name), "Tn") if r.random() < .5 else (w.describe("P", portal), "Tn")
        if what == "execute":
            return w.execute(portal, r.choice([0, 0, 0, 1, 3])), "CsI"
        return (w.close("S", name) if r.random() < .6 else w.close("P", portal)), "3"

    def typical(self):
        """Messages as a driver sends them for one statement."""
        r, (sql, count) = self.random, self.text()
        name = r.choice(NAMES)
        out = [(w.parse(name, sql), "1")]
        if r.random() < .3:
            out.append((w.describe("S", name), "Tn"))
        portal = r.choice(PORTALS) if r.random() < .2 else ""
        out.append((w.bind(portal, name, self.values(count), (), r.choice([(), (0,), (1,)])), "2"))
        if r.random() < .7:
            out.append((w.describe("P", portal), "Tn"))
        for _ in range(r.choice([1, 1, 1, 2])):
            out.append((w.execute(portal, r.choice([0, 0, 2])), "CsI"))
        return out

    def group(self):
        r, out = self.random, []
        for _ in range(r.choice([1, 1, 2, 3])):
            out += self.typical() if r.random() < .6 else [self.one() for _ in range(r.randint(1, 4))]
        return out

    def step(self, client: int) -> Step:
        r, model = self.random, self.models[client]
        messages, reading = [], []
        if not model.owes_sync and r.random() < .25:
            return self.simple(client)
        for _ in range(r.choices([1, 2, 4], [6, 3, 1])[0] if self.pipelined else 1):
            messages += [m for m, _ in self.group()]
            messages.append(w.SYNC)
            reading.append("Z")
        if r.random() < .15:   # a Flush in the midst: the answers must come before the Sync is sent
            group = self.group()
            # A COPY would change what the answers are; none of our texts is one.
            messages += [m for m, _ in group] + [w.FLUSH]
            reading += [kinds for _, kinds in group]
            model.owes_sync = True
            return Step(client, messages, reading, "flush")
        if r.random() < .15:
            messages.append(w.query(self.simple_text()))
            reading.append("Z")
        model.owes_sync = False
        return Step(client, messages, reading, "extended")

    def simple_text(self):
        if self.random.random() < .4:
            return self.random.choice(SIMPLE)
        sql, count = self.text()
        return sql if not count else sql.replace("$1", "3").replace("$2", "'two'")

    def simple(self, client):
        r = self.random
        if r.random() < .12:
            ending = r.choice([w.COPY_DONE, w.copy_fail("no more")])
            data = [w.copy_data(b"%d\tcopied\n" % r.randint(1, 2000)) for _ in range(r.randint(0, 5))]
            return Step(client, [w.query("copy t from stdin"), *data, ending], ["Z"], "copy in")
        if r.random() < .06:
            return Step(client, [w.query("copy (select k, v from t order by k) to stdout")], ["Z"], "copy out")
        return Step(client, [w.query(self.simple_text()) for _ in range(r.choice([1, 1, 3]))], None, "simple")

    def next(self, holding: list[bool]) -> Step:
        """The next step, by a client that may act: one that holds a connection, or any if there is a free one."""
        free = sum(holding) < self.pool
        able = [c for c in range(self.clients) if holding[c] or free]
        step = self.step(self.random.choice(able))
        if step.reading is None:
            step.reading = ["Z"] * len(step.messages)
        self.steps.append(step)
        return step


KEPT_FIELDS = "SCMDHP"


def normalise(kind: str, body: bytes):
    if kind in "EN":
        fields = w.error_fields(body)
        return kind, tuple((f, fields[f]) for f in KEPT_FIELDS if f in fields)
    return kind, body


class Side:
    """One of the two ends of the comparison: its connections, one a client."""

    def __init__(self, url: str, clients: int):
        self.url = url
        self.connections = [w.Connection.open(url, timeout=20 * PATIENCE, application_name="differential") for _ in range(clients)]

    def play(self, step: Step):
        connection = self.connections[step.client]
        connection.send(*step.messages)
        seen = []
        skipping = False
        for kinds in step.reading:
            if skipping and kinds != "Z":
                continue
            while True:
                kind, body = connection.receive()
                seen.append(normalise(kind, body))
                if kind == "E" and kinds != "Z":
                    skipping = True
                    break
                if kind in kinds:
                    skipping = False
                    break
        return seen

    def settle(self, pin: bool):
        """Every client: a Sync, a rollback, nothing prepared, settings as at the start. One write each."""
        closing = [w.close("S", n) for n in NAMES] + [w.SYNC]
        extra = [w.query("discard all"), w.query("set application_name to 'differential'")] if pin else []
        for c in self.connections:   # one after the other: each may need the connection that another one holds
            c.send(w.SYNC, w.query("rollback"), *closing, *extra)
            for _ in range(3 + len(extra)):
                c.until_ready()

    def refill(self):
        self.connections[0].send(w.query("delete from t; insert into t select n, 'value ' || n from generate_series(1, 20) n"))
        self.connections[0].until_ready()

    def close(self):
        for c in self.connections:
            c.close()


class Difference(Exception):
    def __init__(self, at: int, direct, proxied):
        super().__init__(f"step {at}:\n  direct : {direct}\n  proxied: {proxied}")
        self.at = at


def status_of(answers) -> bytes:
    return next((body for kind, body in reversed(answers) if kind == "Z"), b"")


class Pair:
    """Postgres itself and the proxy before another database of it, made alike."""

    def __init__(self, direct_url: str, proxied_url: str, clients: int, pin: bool = False, pipelined: bool = True):
        self.urls, self.clients, self.pin, self.pipelined = (direct_url, proxied_url), clients, pin, pipelined
        self.open()

    def open(self):
        self.sides = [Side(url, self.clients) for url in self.urls]

    def reset(self):
        for side in self.sides:
            side.settle(self.pin)
            side.refill()

    def reopen(self):
        for side in self.sides:
            side.close()
        self.open()

    def play(self, at: int, step: Step):
        answers = []
        for side in self.sides:
            try:
                answers.append(side.play(step))
            except (socket.timeout, w.Closed, OSError) as error:
                answers.append([("!", repr(error))])
        if answers[0] != answers[1]:
            raise Difference(at, *answers)
        return answers[0]

    def run(self, seed: int, pool: int, length: int) -> list[Step]:
        generator = Generator(seed, self.clients, pool, self.pin, self.pipelined)
        holding = [False] * self.clients
        try:
            for at in range(length):
                step = generator.next(holding)
                answers = self.play(at, step)
                owes = generator.models[step.client].owes_sync
                holding[step.client] = owes or status_of(answers) in (b"T", b"E")
        except Difference as difference:
            difference.steps = generator.steps
            raise
        return generator.steps

    def replay(self, steps: list[Step]):
        for at, step in enumerate(steps):
            self.play(at, step)


def shrink(pair: Pair, steps: list[Step]) -> list[Step]:
    """Drops steps, then messages, as long as the two still differ."""
    def differs(candidate):
        pair.reopen()
        try:
            pair.reset()
            pair.replay(candidate)
        except Difference as difference:
            return "timed out" not in str(difference)
        except Exception:
            return False
        return False

    at = 0
    while at < len(steps) and len(steps) > 1:
        candidate = steps[:at] + steps[at + 1:]
        if differs(candidate):
            steps = candidate
        else:
            at += 1
    return steps


def show(steps: list[Step]) -> str:
    return "\n".join(f"  client {s.client} {s.note}: {b' '.join(s.messages)!r}" for s in steps)


def run_range(direct_url: str, proxied_url: str, first: int, last: int, pool: int, clients: int = 3, pin: bool = False,
              length: int = 8, per_connection: int = 40, progress=None, pipelined: bool = True):
    pair = Pair(direct_url, proxied_url, clients, pin, pipelined)
    for seed in range(first, last):
        if seed > first and (seed - first) % per_connection == 0:
            pair.reopen()
        try:
            pair.reset()
            pair.run(seed, pool, length)
        except Difference as difference:
            steps = shrink(pair, difference.steps[:difference.at + 1])
            pair.reopen()
            pair.reset()
            try:
                pair.replay(steps)
                final = "(not seen again after shrinking)"
            except Difference as again:
                final = str(again)
            raise AssertionError(f"seed {seed} (pool {pool}, clients {clients}, pin {pin}) differs:\n{show(steps)}\n{final}\n"
                                 f"first seen as {difference}") from None
        if progress and (seed - first) % 1000 == 999:
            progress(seed)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--direct", required=True)
    parser.add_argument("--proxied", required=True)
    parser.add_argument("--seeds", default="0:1000")
    parser.add_argument("--pool", type=int, default=2)
    parser.add_argument("--clients", type=int, default=3)
    parser.add_argument("--pin", action="store_true")
    parser.add_argument("--one-sync", action="store_true", help="one Sync a write")
    args = parser.parse_args()
    first, last = map(int, args.seeds.split(":"))
    begin = time.monotonic()
    run_range(args.direct, args.proxied, first, last, args.pool, args.clients, args.pin,
              pipelined=not args.one_sync, progress=lambda seed: print(f"seed {seed}: alike ({(seed - first) / (time.monotonic() - begin):.0f}/s)", flush=True))
    print(f"{last - first} sequences alike, seeds {first}:{last}, pool {args.pool}")


if __name__ == "__main__":
    sys.exit(main())
