"""Two ends of the comparison, what is left out of it and why, and the shortest sequence that still differs."""

import itertools
import re
import socket
import struct
import time

from .. import pgwire as w
from ..ports import PATIENCE, wait_for
from . import texts
from .arrivals import ORDERS, Relay, order_of
from .generator import MARKS, Generator, Kind, Part, Step

KEPT_FIELDS = "SCMDHP"
FIRST_USER_OID = 16384
MOST_PAUSES = 30   # of a client that writes message by message
# How the proxy's own refusals begin where the policy of sessions (session_features = hyperdrive) differs from Postgres.
POLICY = "Unsupported in a pooled connection"
TYPES_OF_D = {25, 1043}   # what texts.py makes of a column in d: text, varchar
PLAN_CHANGED = "cached plan must not change result type"


# What makes texts.REMAKE_ROWS and REMAKE_TABLES necessary.
TOUCHES_ROWS = re.compile(rb"own\d|(into|truncate) d\b")
TOUCHES_TABLES = re.compile(rb"(table|on|exists) d2?\b|view seen")
# Sessions differ from their beginning.
STARTUP = [{}, {"TimeZone": "Asia/Kolkata"}, {"options": "-c statement_timeout=45s -c search_path=public,pg_catalog"},
           {"client_encoding": "LATIN1", "DateStyle": "SQL, DMY"}, {"extra_float_digits": "0", "IntervalStyle": "postgres_verbose"},
           {"default_transaction_isolation": "repeatable read", "bytea_output": "escape"}]
# What those who have left hold on to in one database and not in the other, when nobody else holds anything.
LEFT_BEHIND = """select count(*) filter (where a.state <> 'idle' and a.pid <> pg_backend_pid()) + (
    select abs(sum(case l.database when (select oid from pg_database where datname = current_database()) then 1 else -1 end))
    from pg_locks l where l.locktype = 'advisory') from pg_stat_activity a where a.backend_type = 'client backend'"""


def without_oids(kind: str, body: bytes) -> bytes:
    """Tables made during a run have other OIDs in each of the two databases."""
    (count,), at, out = struct.unpack_from("!H", body), 2, [body[:2]]
    for _ in range(count):
        if kind == "T":
            end = body.index(b"\0", at) + 1
            out.append(body[at:end])
            table, column, type_oid = struct.unpack_from("!IHI", body, end)
            out.append(struct.pack("!IHI", min(table, FIRST_USER_OID), column, min(type_oid, FIRST_USER_OID)))
            out.append(body[end + 10:end + 18])
            at = end + 18
        else:
            out.append(struct.pack("!I", min(struct.unpack_from("!I", body, at)[0], FIRST_USER_OID)))
            at += 4
    return b"".join(out)


def normalise(kind: str, body: bytes):
    if kind in "EN":
        fields = w.error_fields(body)
        return kind, tuple((f, fields[f]) for f in KEPT_FIELDS if f in fields)
    return (kind, without_oids(kind, body)) if kind in "Tt" else (kind, body)


def in_one_order(answers: list) -> list:
    """Settings that are reported one behind the other come in the order of a hash table that grows with each session."""
    out = list(answers)
    for at in range(1, len(out)):
        while at > 0 and out[at][0] == out[at - 1][0] == "S" and out[at] < out[at - 1]:
            out[at - 1], out[at] = out[at], out[at - 1]
            at -= 1
    return out


class Side:
    """One of the two ends: its connections, one a client, and what they were told between answers."""

    def __init__(self, url: str, clients: int, cuts: bool, first: int):
        """`cuts`: what is written comes in pieces. `first`: which of the ways to begin is the first client's."""
        self.order = ORDERS[0]
        self.url, self.cuts, self.first = url, cuts, first
        self.connections = [self.connect(client) for client in range(clients)]
        self.notes = [[] for _ in range(clients)]
        self.skipping = [False] * clients   # an error before a Flush: nothing is answered up to the next Sync

    def connect(self, client: int) -> w.Connection:
        return w.Connection.open(self.url, timeout=10 * PATIENCE, application_name="differential",
                                 **STARTUP[(self.first + client) % len(STARTUP)])

    def come_back(self, client: int):
        """As another, after the connection has ended."""
        self.connections[client].close()
        self.connections[client] = self.connect(client)
        self.notes[client], self.skipping[client] = [], False

    def send(self, step: Step):
        if step.reads == "late":
            self.connections[step.client].cancel()
        data = b"".join(part.message for part in step.parts)
        connection, last = self.connections[step.client], 0
        try:
            for cut in self.cuts_of(step):
                connection.send(data[last:cut])
                last = max(cut, last)
                time.sleep(self.order.pause)
            connection.send(data[last:])
            if step.closes:
                connection.socket.shutdown(socket.SHUT_WR)
        except OSError:
            if not step.closes:   # else it was thrown out before it had said all
                raise

    def cuts_of(self, step: Step) -> tuple:
        if not self.order.pause or not self.cuts:
            return step.cuts if self.cuts else ()
        ends = itertools.accumulate(len(part.message) for part in step.parts[:MOST_PAUSES])
        return tuple(ends)[:-1] if len(step.parts) <= MOST_PAUSES else tuple(ends)

    def ask(self, step: Step):
        for one in [step, *step.together]:
            self.send(one)

    def answer(self, step: Step) -> list:
        seen = []
        for one in [step, *step.together]:
            try:
                self.read(one, seen)
            except (OSError, w.Closed) as error:
                seen.append(("!", "timed out" if isinstance(error, socket.timeout) else "closed"))
        return seen[-1:] if step.reads == "gone" else seen

    def receive(self, client: int, seen: list):
        """The next message of an answer. Notifications come when they come: they are compared at the end."""
        while True:
            kind, body = self.connections[client].receive()
            if kind != "A":
                seen.append(normalise(kind, body))
                return kind, body
            self.notes[client].append(body[4:])

    def read(self, step: Step, seen: list):
        while step.leaves():
            self.receive(step.client, seen)
        if step.reads == "mark":
            closed = 0
            while True:
                kind, _ = self.receive(step.client, seen)
                if kind == "Z" and closed >= MARKS:
                    self.skipping[step.client] = False
                    return
                closed = closed + 1 if kind == "3" else 0
        skipping = self.skipping[step.client]
        for part in step.parts:
            if not part.ends or (step.reads != "each" or skipping) and part.ends != "Z":
                continue
            while True:
                kind, _ = self.receive(step.client, seen)
                if kind == "N" and step.reads == "cancel":
                    self.connections[step.client].cancel()
                if kind == "E" and part.ends != "Z":
                    skipping = True
                    break
                if kind in part.ends:
                    skipping = False
                    break
        self.skipping[step.client] = skipping

    def settle(self, client: int, parts: list[bytes], seen: list):
        self.skipping[client] = False
        for _ in parts:
            while self.receive(client, seen)[0] != "Z":
                pass

    def noted(self):
        notes, self.notes = self.notes, [[] for _ in self.connections]
        return "notifications", notes

    def close(self):
        for c in self.connections:
            c.close()


class Difference(Exception):
    def __init__(self, at: int, direct, proxied):
        first = next((i for i, (a, b) in enumerate(zip(direct, proxied)) if a != b), min(len(direct), len(proxied)))
        super().__init__(f"step {at}, from message {first} of the answer on:\n"
                         f"  direct : {shortened(direct[first:first + 6])}\n  proxied: {shortened(proxied[first:first + 6])}")
        self.at, self.steps = at, []
        self.timed_out = ("!", "timed out") in proxied and ("!", "timed out") in direct


def shortened(answers) -> str:
    return "[" + ", ".join(text if len(text) < 300 else text[:300] + "…" for text in map(repr, answers)) + "]"


class Crashed(Exception):
    """Postgres itself has ended by a signal, in `seed`: nothing can be compared there."""

    def __init__(self, seed: int):
        super().__init__(f"seed {seed}: Postgres itself crashed")
        self.seed = seed


class Policy(Exception):
    """From here on the two differ because they are meant to: the sequence ends."""


def by_policy(direct: list, proxied: list, kind: Kind) -> bool:
    """Differences that `shared/proxy.md` wants.

    - `hyperdrive` refuses what needs a session of one's own.
    - A statement that is prepared anew waits for the locks of its tables (and so has a position in its text to tell);
      one that another client has had prepared does not wait at its Parse.
    - In a failed transaction nothing can be prepared ahead, so nothing is said of a statement that this connection does
      not have (its parameters, where it has no rows; that a Bind has too many).
    - A DEALLOCATE that is answered here is no query before which a BEGIN with a level of isolation, and no pipeline in
      which a DISCARD ALL, is refused; the settings that come back behind a DISCARD ALL are one for another of those.
    - A statement whose row shape has changed fails in Postgres for ever; the proxy prepares it anew where the client
      is told the new shape.
    - A statement that is prepared anew fails when its table or a column is gone, before anybody counts what a Bind brings.
    - A statement that was parsed behind a change of a column's type keeps the parameters of then when that is rolled
      back; prepared anew, it has those of now.
    """
    for mine, theirs in zip(direct, proxied):
        if mine == theirs:
            continue
        if any(one[0] == "E" and ("C", "55P03") in one[1] and one[1][-1][0] == "P" for one in (mine, theirs)):
            return True
        if mine[0] == "E" and ("C", "25001") in mine[1] and theirs[0] == "C":
            return True
        if theirs[0] == "E" and ("C", "25001") in theirs[1] and mine == ("C", b"DISCARD ALL\0"):
            return True
        if theirs[0] == "E" and not kind.pin and any(f == "M" and v.startswith(POLICY) for f, v in theirs[1]):
            return True
        if theirs[0] == "E" and ("C", "25P02") in theirs[1]:
            return mine[0] == "t" or mine[0] == "E" and ("C", "08P01") in mine[1]
        if theirs[0] == "E" and {("C", "42P01"), ("C", "42703")} & set(theirs[1]) and mine[0] == "E" and ("C", "08P01") in mine[1]:
            return True
        if mine[0] == theirs[0] == "t" and len(mine[1]) == len(theirs[1]):
            oids = (struct.unpack(f"!{len(body) // 4}I", body[2:]) for body in (mine[1], theirs[1]))
            return all(a == b or {a, b} == TYPES_OF_D for a, b in zip(*oids))
        return mine[0] == "E" and ("M", PLAN_CHANGED) in mine[1]
    return False


class Pair:
    """Postgres itself and the proxy before another database of it, made alike."""

    def __init__(self, direct_url: str, proxied_url: str, kind: Kind, relay: Relay | None = None):
        """`relay`: between the proxy and its origin; without one everything comes as it comes."""
        self.urls, self.kind, self.relay = (direct_url, proxied_url), kind, relay
        self.touched = b"table d; truncate d"   # by the sequence before: everything, to begin with
        self.opened = 0
        self.watcher = w.Connection.open(direct_url, application_name="watcher")
        self.open()

    def open(self):
        self.sides = [Side(url, self.kind.clients, cuts, self.opened) for url, cuts in zip(self.urls, (False, True))]
        self.opened += 1
        self.holding = [False] * self.kind.clients

    def reopen(self):
        for side in self.sides:
            side.close()
        self.open()

    def close(self):
        for side in [*self.sides, self.watcher]:
            side.close()

    def refill(self, everything: bool = True):
        """The data as at the start. DDL, slow, only where it may be needed."""
        tables = everything or TOUCHES_TABLES.search(self.touched)
        rows = tables or TOUCHES_ROWS.search(self.touched)
        message = w.query("; ".join([texts.REFILL, *(texts.REMAKE_TABLES if tables else []), *(texts.REMAKE_ROWS if rows else [])]))
        for side in self.sides:
            side.connections[0].send(message)
        for side in self.sides:
            while (answer := side.connections[0].receive())[0] != "Z":
                if answer[0] == "E":
                    raise AssertionError(f"refill: {w.error_fields(answer[1])}")
        self.touched = b""

    def compare(self, at: int, direct, proxied):
        direct, proxied = in_one_order(direct), in_one_order(proxied)
        if direct != proxied:
            if by_policy(direct, proxied, self.kind):
                raise Policy
            raise Difference(at, direct, proxied)

    def play(self, at: int, step: Step):
        for side in self.sides:
            side.ask(step)
        direct, proxied = (side.answer(step) for side in self.sides)
        status = next((body for kind, body in reversed(direct) if kind == "Z"), b"")
        # Those who were together with it have ended what they began.
        self.holding[step.client] = not step.leaves() and (step.owes_sync() or (status in (b"T", b"E") and not step.together))
        try:
            self.compare(at, direct, proxied)
        finally:
            if step.leaves():
                self.replace(at, step.client)

    def replace(self, at: int, client: int):
        """The client is gone, and takes all that it had with it; another comes in its place."""
        try:
            wait_for(lambda: self.watcher.value(LEFT_BEHIND) in ("0", None), 5, "what a client had is given up", 0.002)
        except AssertionError as error:
            raise Difference(at, [("left", "nothing")], [("left", str(error))]) from None
        for side in self.sides:
            side.come_back(client)

    def settle(self, seed: int, at: int, compared: bool):
        """Every client: a Sync, a rollback, nothing prepared, settings as at the start. Those first who hold a connection
        that the others need."""
        parts = [w.SYNC, w.query("rollback"), w.query("discard all")]
        if seed % 3 == 0:
            parts[2:2] = [w.query("deallocate all"), w.query("reset all")]
        direct, proxied = answers = [], []
        for client in sorted(range(self.kind.clients), key=lambda c: not self.holding[c]):
            for side in self.sides:
                side.connections[client].send(*parts)
            for side, seen in zip(self.sides, answers):
                side.settle(client, parts, seen)
        for side, seen in zip(self.sides, answers):
            seen.append(side.noted())
        self.holding = [False] * self.kind.clients
        if compared:
            self.compare(at, direct, proxied)

    def run(self, seed: int, length: int):
        """Raises Difference, with the steps that led to it."""
        generator = Generator(seed, self.kind)
        try:
            self.attempt(seed, (generator.next(self.holding) for _ in range(length)), generator.steps)
        finally:
            self.touched = b"".join(part.message for step in generator.steps for one in [step, *step.together] for part in one.parts)

    def arrive(self, order):
        self.sides[1].order = order
        if self.relay:
            self.relay.order = order

    def attempt(self, seed: int, steps, made: list[Step]):
        at = 0
        self.arrive(order_of(seed) if self.relay else ORDERS[0])
        try:
            for at, step in enumerate(steps):
                self.play(at, step)
            self.settle(seed, at + 1, True)
        except Policy:
            self.settle(seed, at + 1, False)
        except Difference as difference:
            difference.steps = made[:difference.at + 1]
            raise
        finally:
            self.arrive(ORDERS[0])

    def differs(self, seed: int, steps: list[Step]) -> Difference | None:
        """Of a sequence replayed on new connections."""
        self.reopen()
        try:
            self.refill()
            self.attempt(seed, iter(steps), steps)
        except Difference as difference:
            return None if difference.timed_out else difference
        except (OSError, w.Closed, w.Refused):
            return None
        return None


def shrink(pair: Pair, seed: int, steps: list[Step], seconds: float = 60) -> list[Step]:
    """Drops steps, then messages, as long as the two still differ."""
    end = time.monotonic() + seconds
    at = 0
    while at < len(steps) and len(steps) > 1 and time.monotonic() < end:
        candidate = steps[:at] + steps[at + 1:]
        if pair.differs(seed, candidate):
            steps = candidate
        else:
            at += 1
    for i, step in enumerate(steps):
        at = 0
        while at < len(step.parts) - 1 and time.monotonic() < end:
            smaller = Step(step.client, step.parts[:at] + step.parts[at + 1:], step.reads, step.note, (), step.together)
            if step.parts[at].ends in ("Z", "mark") or not pair.differs(seed, steps[:i] + [smaller] + steps[i + 1:]):
                at += 1
            else:
                step = steps[i] = smaller
    return steps


def show(steps: list[Step]) -> str:
    def line(step: Step):
        return f"  client {step.client} {step.note}: {b' '.join(p.message[:200] for p in step.parts)!r}"
    return "\n".join(line(one) for step in steps for one in [step, *step.together])


def run_range(direct_url: str, proxied_url: str, first: int, last: int, kind: Kind, length: int = 8,
              per_connection: int = 40, between=lambda: None, crashed=lambda: False, relay: Relay | None = None):
    """Raises AssertionError for the first seed that differs, with the shortest sequence that does; Crashed where
    `crashed()` says that it was Postgres that went down. `between`: called where nobody is connected."""
    pair, seed = None, first
    try:
        pair = Pair(direct_url, proxied_url, kind, relay)
        for seed in range(first, last):
            if seed > first and (seed - first) % per_connection == 0:
                for side in pair.sides:
                    side.close()
                between()
                pair.open()
            pair.refill(everything=False)
            pair.run(seed, length)
    except (Difference, OSError, w.Closed, w.Refused) as error:
        if crashed():
            raise Crashed(seed) from None
        if isinstance(error, Difference):
            raise AssertionError(report(pair, seed, error)) from None
        raise AssertionError(f"seed {seed} ({kind}) ended with {error!r}") from None
    finally:
        if pair:
            pair.close()


def report(pair: Pair, seed: int, difference: Difference) -> str:
    try:
        steps = shrink(pair, seed, difference.steps) if pair.differs(seed, difference.steps) else difference.steps
        final = pair.differs(seed, steps) or "not seen again with new connections"
    except (OSError, w.Closed, w.Refused) as error:
        steps, final = difference.steps, f"shrinking ended with {error!r}"
    order = f", {order_of(seed)}" if pair.relay else ""
    return f"seed {seed} ({pair.kind}{order}) differs:\n{show(steps)}\n{final}\nfirst seen as {difference}"
