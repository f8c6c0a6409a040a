"""Random legal frontend messages, made from a seed, with just enough of a model to stay legal."""

import random
from dataclasses import dataclass, field

from .. import pgwire as w
from . import texts

NAMES = ["", "a", "b", "", "a", "b", "", "a", "b", "hyperdrive_1", "long" * 9]
PORTALS = ["", "p", "cur"]
# The limit of an Execute: all, some, all in Postgres's reading of a negative number, more than there are.
LIMITS = [0] * 8 + [1, 3, 3, 0xFFFFFFFF, 0x7FFFFFFF]
TYPES = [()] * 6 + [(23,), (25,), (0, 25), (23,), (25,), (0, 25), (705,), (99999,)]
# Builtin functions for FunctionCall: int4pl, int4abs, int4div, textcat; the last two do not exist or take other things.
FUNCTIONS = [(177, [b"2", b"3"]), (1397, [b"-4"]), (154, [b"1", b"0"]), (1258, [b"a", b"b"]), (1, []), (177, [b"2"])]


@dataclass(frozen=True)
class Part:
    """One message and the kinds of the answer that ends its own; 'Z' where it ends a group."""
    message: bytes
    ends: str


@dataclass
class Step:
    """What one client writes at once. `reads`: how it knows that the answer is complete.

    ready    one ReadyForQuery for each part that ends with one
    each     the answer to each part, up to the first error: there is a Flush instead of a Sync
    mark     up to the answer to MARK behind it, where nobody can count the ReadyForQuerys
    cancel   as ready; a notice says that what will be cancelled has begun
    late     as ready, when a cancel request for what came before has been answered
    end      up to the connection's end
    gone     likewise, but what is said up to then does not count: Postgres may not come to say it
    """
    client: int
    parts: list[Part]
    reads: str = "ready"
    note: str = ""
    cuts: tuple = ()            # where the proxied side's write is cut in pieces
    together: list = field(default_factory=list)   # steps of other clients, sent before any answer is read

    closes: bool = False        # nothing more is sent after it: half-closed

    def leaves(self) -> bool:
        return self.reads in ("end", "gone")

    def owes_sync(self) -> bool:
        return self.reads == "each"


@dataclass(frozen=True)
class Kind:
    """What is compared: the pool, what the session keeps, how much is pipelined, whether reads are cached, BEGIN is
    folded, few statements stay prepared."""
    pool: int
    pin: bool = False
    pipelined: bool = True
    cached: bool = False
    clients: int = 3
    fold: bool = False
    statements: int = 256   # that the proxy keeps prepared in a connection

    def __str__(self):
        words = [f"pool {self.pool}", "pin" if self.pin else "", "pipelined" if self.pipelined else "one Sync a write",
                 "cached" if self.cached else "", "fold_begin" if self.fold else "",
                 f"{self.statements} statements" if self.statements != 256 else "",
                 f"{self.clients} clients" if self.clients != 3 else ""]
        return ", ".join(word for word in words if word)


# Something to be recognised by that does nothing, whatever the state: nobody else closes so much in a row.
MARKS = 20
MARK = Part(w.close("S", "nothing") * MARKS + w.SYNC, "mark")


class Generator:
    def __init__(self, seed: int, kind: Kind):
        self.random = random.Random(seed)
        self.kind = kind
        self.owing = [False] * kind.clients
        self.queried = [False] * kind.clients   # since when there may be what is left of a Query's portal
        self.steps: list[Step] = []
        weights = [(texts.READS, 12), (texts.WRITES, 4), (texts.ODD, 2), (texts.TRANSACTION, 5)]
        r = self.random
        # A sequence has its themes; all at once would be noise.
        if r.random() < .4:
            weights.append((texts.CURSORS, 5))
        self.simple_texts = texts.SIMPLE
        if r.random() < .06:   # dear: the proxy reads the catalogs again after each
            weights.append((texts.DEFINITIONS, 3))
            self.simple_texts = texts.SIMPLE + texts.SIMPLE_DEFINITIONS
        if r.random() < .4:
            weights.append((texts.HABITS, 2))
        if kind.pin:
            weights += [(texts.SETTINGS, 6), (texts.KEPT, 5)] if r.random() < .7 else []
        elif r.random() < .4:
            weights.append((texts.LOCAL_SETTINGS, 4))
        if not kind.pin and r.random() < .03:
            weights.append((texts.REFUSED, 2))
        self.groups, self.weights = [g for g, _ in weights], [n for _, n in weights]

    # --- parts ----------------------------------------------------------------------------------------
    def text(self):
        return self.random.choice(self.random.choices(self.groups, self.weights)[0])

    def values(self, count):
        r = self.random
        return [texts.LARGE if r.random() < .01 else r.choice(texts.VALUES) for _ in range(count)]

    def one(self):
        """One random extended-protocol message, with the kinds that answer it."""
        r, name, portal = self.random, self.random.choice(NAMES), self.random.choices(PORTALS, [6, 3, 1])[0]
        what = r.choices(["parse", "bind", "describe", "execute", "close"], [4, 6, 3, 7, 2])[0]
        if what == "parse":
            return Part(w.parse(name, self.text()[0], r.choice(TYPES)), "1")
        if what == "bind":
            formats = r.choice([(), (), (0,), (1,), (0, 1)]) if r.random() < .98 else (2,)
            results = r.choice([(), (), (0,), (1,), (1, 0)]) if r.random() < .98 else (7,)
            if portal == "cur":   # FETCH from the portal it runs in is the end of Postgres 15, by signal 11
                portal = "p"
            return Part(w.bind(portal, name, self.values(r.choice([0, 1, 1, 2])), formats, results), "2")
        if what == "describe":
            if r.random() < .5:
                return Part(w.describe("S", r.choice(NAMES + ["never"])), "Tn")
            return Part(w.describe("P" if r.random() < .98 else "?", portal), "Tn")
        if what == "execute":
            return Part(w.execute(portal, r.choice(LIMITS)), "CsI")
        return Part(w.close("S", name) if r.random() < .6 else w.close("P", portal), "3")

    def typical(self):
        """Messages as a driver sends them for one statement."""
        r, (sql, count) = self.random, self.text()
        name = r.choice(NAMES)
        out = []
        if name and r.random() < .3:
            out.append(Part(w.close("S", name), "3"))
        out.append(Part(w.parse(name, sql), "1"))
        if r.random() < .3:
            out.append(Part(w.describe("S", name), "Tn"))
        portal = r.choice(PORTALS[:2]) if r.random() < .2 else ""
        out.append(Part(w.bind(portal, name, self.values(count), (), r.choice([(), (0,), (1,)])), "2"))
        if r.random() < .7:
            out.append(Part(w.describe("P", portal), "Tn"))
        for _ in range(r.choice([1, 1, 1, 2])):
            out.append(Part(w.execute(portal, r.choice([0, 0, 2])), "CsI"))
        return out

    def warm(self):
        """A statement prepared before, run again without a word about its shape."""
        r, name = self.random, self.random.choice(NAMES)
        out = [Part(w.bind("", name, self.values(r.choice([0, 1, 1, 2]))), "2")]
        if r.random() < .3:
            out.append(Part(w.describe("P", ""), "Tn"))
        return out + [Part(w.execute("", 0), "CsI")]

    def group(self):
        r, out = self.random, []
        for _ in range(r.choice([1, 1, 2, 3])):
            out += r.choices([self.typical, self.warm, lambda: [self.one() for _ in range(r.randint(1, 4))]], [5, 2, 4])[0]()
        return out

    def function_call(self):
        oid, arguments = self.random.choice(FUNCTIONS)
        return Part(w.function_call(oid, arguments), "Z")

    # --- steps ----------------------------------------------------------------------------------------
    def step(self, client: int) -> Step:
        r = self.random
        if not self.owing[client]:
            if r.random() < .25:
                return self.simple(client)
            if r.random() < .06:
                return self.copy_extended(client)
            if r.random() < .05:
                return self.mixed(client)
        parts = []
        for _ in range(r.choices([1, 2, 4, 12], [60, 30, 10, 1])[0] if self.kind.pipelined else 1):
            parts += self.group() + [Part(w.SYNC, "Z")]
        if r.random() < .15:   # a Flush in the midst: the answers must come before the Sync is sent
            group = self.group()
            return Step(client, parts + group + [Part(w.FLUSH, "")], "each", "flush")
        if r.random() < .15:
            parts.append(Part(w.query(self.simple_text()), "Z"))
        return Step(client, parts, note="extended")

    def simple_text(self):
        if self.random.random() < .4:
            return self.random.choice(self.simple_texts)
        sql, count = self.text()
        return sql if not count else sql.replace("$1", "3").replace("$2", "'2'").replace("$3", "null")

    def copy_data(self):
        r = self.random
        data = [w.copy_data(b"%d\tcopied\n" % r.randint(1, 2000)) for _ in range(r.randint(0, 5))]
        if r.random() < .1:
            data.append(w.copy_data(b"not a row\n"))
        if r.random() < .05:
            data.append(w.copy_data(b"5000\t" + texts.LARGE + b"\n"))
        if data and r.random() < .3:   # a row may lie in two messages
            cut = w.copy_data(b"60"), w.copy_data(b"00\tcut\n")
            data += cut
        ending = r.choice([w.COPY_DONE, w.COPY_DONE, w.copy_fail("no more")])
        return [Part(m, "") for m in [*data, ending]]

    def simple(self, client):
        r = self.random
        if r.random() < .12:
            sql = r.choice(["copy t from stdin", "copy t from stdin", "select 1; copy t from stdin; select 2",
                            "copy t (k, v) from stdin with (format text)", "begin; copy t from stdin", "copy missing from stdin"])
            if r.random() < .1:
                return Step(client, [Part(w.query(sql + "; copy own0 from stdin"), "Z"), *self.copy_data(), *self.copy_data()], note="copy in twice")
            return Step(client, [Part(w.query(sql), "Z"), *self.copy_data()], note="copy in")
        if r.random() < .02:   # nobody asked for it, and Postgres says nothing
            return Step(client, [*self.copy_data(), Part(w.query("select 'after data'"), "Z")], note="copy data astray")
        if r.random() < .02:
            # Postgres keeps the unnamed statement there, for it has not come to look at the Query; the one before ends it.
            return Step(client, [Part(w.query("select 1"), "Z"), Part(w.query(b"select '\xff\xfe'"), "Z")], note="not UTF-8")
        if r.random() < .06:
            sql = r.choice(["copy (select k, v from t order by k) to stdout", "copy (table c order by k) to stdout with (format binary)",
                            "copy (table c order by k) to stdout; select 1", "copy (select generate_series(1, 3000)) to stdout"])
            return Step(client, [Part(w.query(sql), "Z")], note="copy out")
        if r.random() < .1:
            return Step(client, [self.function_call() for _ in range(r.choice([1, 1, 2]))], note="function call")
        return Step(client, [Part(w.query(self.simple_text()), "Z") for _ in range(r.choice([1, 1, 3]))], note="simple")

    def copy_extended(self, client):
        """COPY by Parse, Bind, Execute. Whether a Sync before the data is answered depends on whether it began."""
        r = self.random
        sql = r.choice(["copy t from stdin", "copy t from stdin", "copy (table c order by k) to stdout", "copy missing from stdin"])
        name = "copying"   # never run without its data: Postgres ends a connection that sends something else
        parts = [Part(w.close("S", name), "3"), Part(w.parse(name, sql), "1"), Part(w.bind("", name), "2")]
        if r.random() < .5:
            parts.append(Part(w.describe("P"), "Tn"))
        parts.append(Part(w.execute(), "C"))
        if r.random() < .3:
            parts.append(Part(w.SYNC, "Z"))
        if r.random() < .2:
            parts.append(Part(w.FLUSH, ""))
        if "from" in sql or r.random() < .2:
            parts += self.copy_data()
        return Step(client, [*parts, Part(w.SYNC, "Z"), MARK], "mark", "copy, extended")

    def mixed(self, client):
        """Query and FunctionCall in the midst of a group, which an error before them swallows."""
        r, parts = self.random, []
        for _ in range(r.randint(1, 3)):
            parts += self.group()
            if r.random() < .7:
                text, count = self.text()
                parts.append(self.function_call() if r.random() < .3 else Part(w.query(text if not count else "select 5"), "Z"))
            if r.random() < .3:
                parts.append(Part(w.FLUSH, ""))
        return Step(client, [*parts, Part(w.SYNC, "Z"), MARK], "mark", "mixed")

    def cancelled(self, client):
        """A cancel request, for what runs or for what has ended."""
        if self.random.random() < .5:
            return Step(client, [Part(w.query("select slow()"), "Z")], "cancel", "cancelled")
        return Step(client, [Part(w.query(self.simple_text()), "Z")], "late", "cancelled too late")

    def leave(self, client):
        """The client goes: with all answered, in the midst of a transaction, of a group, of a COPY; politely or not."""
        r, parts, whole = self.random, [], True
        for _ in range(r.choice([0, 1, 1, 2])):
            parts += r.choice([lambda: self.group() + [Part(w.SYNC, "Z")], lambda: [Part(w.query(self.simple_text()), "Z")]])()
        if r.random() < .3:
            parts.append(Part(w.query("begin; insert into t values (800, 'never'); savepoint s"), "Z"))
        if r.random() < .4:
            whole = False
            parts += r.choice([self.group, lambda: [Part(w.query("copy t from stdin"), "Z"), *self.copy_data()[:-1]],
                               lambda: [Part(w.query("select 1")[:-3], "")]])()
        word = r.choice([w.TERMINATE, w.TERMINATE, b""] + ([w.message(b"y")] if whole else []))
        return Step(client, [*parts, Part(word, "")], "end" if whole else "gone", "leaves", closes=True)

    def together(self, clients: list[int]) -> Step:
        """Several clients at the same moment, under names that collide; each on tables of its own."""
        steps = [self.alone(client) for client in clients]
        return Step(steps[0].client, steps[0].parts, note="together", together=steps[1:])

    def alone(self, client):
        r, parts = self.random, []
        for _ in range(r.randint(1, 3) if self.kind.pipelined else 1):
            begun = r.random() < .2
            if begun:
                parts.append(Part(w.query("begin"), "Z"))
            for _ in range(r.randint(1, 2)):
                sql, count = r.choice(texts.TOGETHER_READS if r.random() < .6 else texts.TOGETHER_WRITES)
                name = r.choice(NAMES)
                if name:
                    parts.append(Part(w.close("S", name), "3"))
                parts += [Part(w.parse(name, sql.format(client)), "1"), Part(w.bind("", name, self.values(count)), "2"),
                          Part(w.describe("P"), "Tn"), Part(w.execute(), "CsI")]
            parts.append(Part(w.SYNC, "Z"))
            if begun:
                parts.append(Part(w.query(r.choice(["commit", "rollback"])), "Z"))
        return Step(client, parts, note="together")

    def act(self, client: int, holding: list[bool]) -> Step:
        if not self.owing[client] and self.random.random() < .015:
            return self.cancelled(client)
        # Whoever holds a connection could wait for locks of one who is about to be gone.
        if self.random.random() < .012 and not any(held for c, held in enumerate(holding) if c != client):
            return self.leave(client)
        return self.step(client)

    def with_living_portals(self, step: Step) -> list[Part]:
        """After a Query that failed in a transaction, Postgres 15 keeps its unnamed portal with statements that have been
        freed: to run or describe it without a Bind before, which replaces it or fails, is the end by signal 11."""
        parts, bound = [], False
        for part in step.parts:
            message = part.message
            self.queried[step.client] |= message[:1] == b"Q"
            bound = not part.ends == "Z" and (bound or message[:1] == b"B" and message[5:6] == b"\0")
            if self.queried[step.client] and not bound:
                if message[:1] == b"E" and message[5:6] == b"\0":
                    part = Part(w.message(b"E", b"p" + message[5:]), part.ends)
                elif message[:1] == b"D" and message[5:] == b"P\0":
                    part = Part(w.describe("P", "p"), part.ends)
            parts.append(part)
        return parts

    def next(self, holding: list[bool]) -> Step:
        """The next step, by a client that may act: one that holds a connection, or any if there is a free one."""
        r, free = self.random, sum(holding) < self.kind.pool
        able = [c for c in range(self.kind.clients) if holding[c] or free]
        resting = [c for c in range(self.kind.clients) if not holding[c]]
        if free and len(resting) > 1 and r.random() < .12:
            step = self.together(resting)
        else:
            step = self.act(r.choice(able), holding)
        for one in [step, *step.together]:
            one.parts = self.with_living_portals(one)
        size = sum(len(part.message) for part in step.parts)
        if r.random() < .1 and size > 1:
            step.cuts = tuple(sorted(r.randint(1, size) for _ in range(r.randint(1, 3))))
        self.owing[step.client] = step.owes_sync()
        self.steps.append(step)
        return step
