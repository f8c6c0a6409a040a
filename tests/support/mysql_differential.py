"""Random legal conversations over the MySQL protocol, each told twice: straight to one server and through the proxy to
another one. Whatever both say must be the same, packet by packet.

    run(seed, origins, proxy, features)      raises AssertionError with the last steps on a difference

`features` says what a session may leave open between two steps: "hyperdrive" transactions, cursors and long data;
"pin" also what belongs to a connection (user variables, temporary tables, locks, SQL-level PREPARE); "units" nothing
at all, so that one origin connection serves every client in turn. `relays` (support.arrivals) stand before and behind
the proxy: with each second seed they say when what arrives.
"""


import random
import re
import struct

from . import mywire as my

CLIENTS = 3
SHAPES = [my.USUAL | my.MULTI_STATEMENTS, my.USUAL | my.MULTI_STATEMENTS | my.DEPRECATE_EOF,
          my.USUAL | my.MULTI_STATEMENTS | my.FOUND_ROWS | my.LOCAL_FILES,
          my.USUAL | my.MULTI_STATEMENTS | my.DEPRECATE_EOF | my.LOCAL_FILES]

SCHEMA = ["create database if not exists attic", "create table if not exists attic.here (x int)"] + [
    statement.format(c=c) for c in range(CLIENTS) for statement in (
        "create or replace table t{c} (k int primary key, v varchar(20))",
        "create or replace table a{c} (id int auto_increment primary key, v varchar(5))",
        "create or replace table w{c} (i int, u bigint unsigned, d decimal(10,3), f double, t time(3), y date,"
        " s datetime(6), b blob, e enum('p','q'), n json, z bit(9))",
        "insert into w{c} values (-1, 18446744073709551615, 1.5, 2.25, '-12:34:56.789', '2024-02-29',"
        " '2024-02-29 01:02:03.000004', x'00ff27', 'q', '[1]', b'101'), (null, null, null, null, null, null, null, null,"
        " null, null, null)",
        "insert into t{c} values (1, 'a'), (2, null), (30, 'z')", "create or replace table d{c} (x int)",
        "create or replace view v{c} as select k, v from t{c} where k < 30",
        "create or replace procedure p{c} (n int) begin select n; select k from t{c} order by k limit 1; end",
        "create or replace function f{c} (n int) returns int deterministic return n + 1")]

# Text, and the number of its parameters.
PREPARED = [("select ? v", 1), ("select ?, k, v from t{c} where k < ? order by k", 2), ("insert into t{c} values (?, ?)", 2),
            ("update t{c} set v = ? where k > ?", 2), ("select * from no_such where a = ?", 2), ("select 1, 'two'", 0),
            ("select * from w{c}", 0), ("select i, u, d, f from w{c} where i <=> ? or f > ?", 2), ("select ?, ?, ?", 3),
            ("insert into a{c} (v) values (?)", 1), ("call p{c}(?)", 1), ("select count(*) from v{c} where v = ?", 1),
            ("do ?", 1), ("select concat(?, 'x'), length(?)", 2), ("show tables like 't_'", 0), ("delete from t{c} where k = ?", 1),
            ("select k from t{c} order by k", 0), ("replace into d{c} values (?)", 1)]

TEXTS = ["select 1, null, 'x'", "select * from t{c} order by k", "selec 1", "select * from no_such",
         "insert into t{c} values ({n}, 'q')", "delete from t{c} where k = {n}", "update t{c} set v = 'same'",
         "select repeat('y', 70000)", "select 1/0", "show create table t{c}", "create or replace table d{c} (x int)", "do 1",
         "select seq from seq_1_to_500", "", "select * from w{c}", "select count(*) from v{c}", "call p{c}({n})",
         "select f{c}({n})", "insert into a{c} (v) values ('x')", "insert ignore into t{c} values (1, 'dup')",
         "insert into a{c} (v) values ('a'), ('b')", "select cast('abc' as signed)", "select 'é', _latin1 x'e9'",
         "insert ignore into a{c} (v) values ('far too long')", "replace into t{c} values ({n}, 'r')", "truncate table d{c}",
         "alter table d{c} add column if not exists y int default 3", "insert into d{c} (x) values ({n})", "select * from d{c}",
         "(select k from t{c}) union (select {n}) order by 1", "values (1, 2), (3, 4)", "select k from t{c} where k > {n} limit 1",
         "with x as (select k from t{c}) select * from x order by k", "explain select k from t{c} where k = 1",
         "select /*!50000 'executed' */", "select 'a' 'b', \"c\", `k` from t{c} where k = 1 # comment", "show variables like 'autocommit'",
         "select database(), @@autocommit, @@sql_mode, @@time_zone, @@character_set_results, @@collation_connection",
         "update t{c} set v = 'new' where k = {n}", "insert into t{c} values ({n}, 'o') on duplicate key update v = 'u'",
         "select sql_calc_found_rows k from t{c} order by k limit 1", "select k from t{c} order by k limit 1, 5",
         "update t{c} set k = null where k = {n}", "signal sqlstate '45000' set message_text = 'mine'", "select sleep(0)",
         "insert into a{c} (v) values ('r') returning id, v", "delete from a{c} where id = {n} returning v",
         "select k, v from t{c} where k = {n} for update", "check table t{c}", "optimize table d{c}", "select benchmark(1, 1)"]

# About the statement before, in the same step.
ASKS_OF_WARNINGS = ["show warnings", "show count(*) warnings", "show errors", "select @@warning_count, @@error_count",
                    "show warnings limit 1"]
ASKS = ["select row_count()", "select last_insert_id()", "select last_insert_id({n})", "select @@identity",
        "insert into t{c} values (78, last_insert_id()) on duplicate key update v = 'again'", "select row_count(), last_insert_id()"]
ASKS_OF_QUERIES = ["select found_rows()", "select found_rows() as n", "select row_count(), found_rows(), last_insert_id()"]

MULTI = ["select 1; select 2", "select 1; insert into t{c} values (50, 'm'); select 3", "select 1; select * from no_such; select 2",
         "delete from t{c}; select count(*) from t{c}", "call p{c}(1); select 2", "select 1; selec 2", "do 1; do 2;", ";", "select 1;",
         "begin; insert into t{c} values (51, 'in'); commit; select k from t{c} where k = 51", "insert ignore into t{c} values (1, 'x'); show warnings",
         "select k from t{c}; select found_rows()", "insert into a{c} (v) values ('z'); select last_insert_id()",
         "set time_zone = '+03:00'; select @@time_zone", "update t{c} set v = 'm'; select row_count()"]
MULTI_OPEN = ["begin; select 1", "do 1; commit", "set autocommit = 0; select 1", "rollback; begin; update t{c} set v = 'open'"]

TRANSACTIONS = [["begin"], ["commit"], ["rollback"], ["start transaction read only"], ["begin", "savepoint s"], ["rollback to savepoint s"],
                ["set autocommit = 0"], ["set autocommit = 1"], ["savepoint s"], ["release savepoint s"], ["rollback to s"],
                ["start transaction with consistent snapshot"], ["set transaction read only"], ["commit and chain"],
                ["rollback and chain"], ["set transaction isolation level serializable"], ["set autocommit = 0", "savepoint s"],
                ["begin", "set insert_id = 700", "insert into a{c} (v) values ('set')"],
                ["set insert_id = {n}00", "select k from t{c}", "do 1", "insert into a{c} (v) values ('later')"],
                ["begin work"], ["set @@autocommit := 0"], ["xa start 'x{c}'", "xa end 'x{c}'", "xa rollback 'x{c}'"],
                ["xa start 'x{c}'", "insert into t{c} values (90, 'xa')", "xa end 'x{c}'", "xa prepare 'x{c}'", "xa commit 'x{c}'"]]

SETTINGS = ["set names latin1", "set names utf8mb4", "set names utf8mb4 collate utf8mb4_bin", "set sql_mode = 'ansi_quotes'",
            "set sql_mode = ''", "set sql_mode = default", "set time_zone = '+05:30'", "set session group_concat_max_len = 5",
            "set @@session.sql_mode = concat(@@sql_mode, ',NO_BACKSLASH_ESCAPES')", "set character_set_results = null",
            "set character_set_results = utf8mb4", "set sql_select_limit = 2", "set sql_select_limit = default", "set names nonsense",
            "set no_such_variable = 1", "set session transaction isolation level read committed", "set character set latin1",
            "set div_precision_increment = 7, lc_time_names = 'de_DE'", "set max_error_count = 1", "set max_error_count = default",
            "set autocommit = 1, sql_mode = concat(@@sql_mode, ',STRICT_TRANS_TABLES')", "set session wait_timeout = 1000",
            "set unique_checks = 0, foreign_key_checks = 0", "set foreign_key_checks = default", "set session sql_warnings = 1",
            "set last_insert_id = 5", "set timestamp = 1000000000", "set timestamp = default",
            "set statement max_statement_time = 10 for select 1", "set session tx_read_only = 0",
            "set names default", "set character set default", "set collation_connection = default"]

PINNING = [["set @u{c} = {n}"], ["select @u{c}"], ["select @u{c} := {n}"], ["create temporary table if not exists tt{c} (x int)"],
           ["insert into tt{c} values ({n})"], ["select * from tt{c}"], ["drop temporary table if exists tt{c}"],
           ["create temporary table if not exists t{c} (shadow int)"], ["select get_lock('l{c}', 0)"], ["select release_lock('l{c}')"],
           ["select is_used_lock('l{c}') is null"], ["lock tables t{c} write"], ["unlock tables"], ["prepare p{c} from 'select ? + 1'"],
           ["execute p{c} using @u{c}"], ["deallocate prepare p{c}"], ["handler t{c} open"], ["handler t{c} read first"],
           ["handler t{c} close"], ["select k into @u{c} from t{c} where k = 1"], ["set @a{c} = 1, @b{c} = 'two'", "select @a{c}, @b{c}"],
           ["set max_statement_time = 50, @x{c} = 3"], ["select release_all_locks()"]]

FILE = b"60\tfrom a file\n61\t\\N\n1\tdup\n"


def plain(events):
    """Without what may differ: flags of an EOF that stands before the rows, which an origin without such EOFs cannot tell
    yet, the optimizer's advice, and numbers of statements in messages."""
    # No good index, no index, slow: known at the end only. 0x4000: MariaDB's slip, who has not asked for it gets it too.
    advice = 0x0010 | 0x0020 | 0x0800 | 0x4000
    result = []
    for event in events:
        if event[0] == "eof":
            before_rows = result and result[-1][0] == "column"
            event = ("eof",) if before_rows else ("eof", event[1] & ~advice, event[2])
        elif event[0] in ("ok", "end"):
            event = (*event[:3], event[3] & ~advice, *event[4:])
        elif event[0] == "err" and event[1] in (1264, 1366, 1406, 1292):
            event = (*event[:3], re.sub(r"at row \d+", "at row N", event[3]))  # of a routine: the session's last row
        elif event[0] == "err" and event[1] in (1243, 1421):
            event = (*event[:3], re.sub(r"\(\d+\)", "(N)", event[3]))
        elif event[0] == "row" and re.match(rb"(\x05Error|\x07Warning)\x04\d{4}", event[1]):
            event = ("row", re.sub(rb"\(\d+\)|at row \d+", b"N", event[1]))  # of SHOW WARNINGS
        result.append(event)
    return result


class Pair:
    """One client, twice: `direct` and `proxied` are told the same and must hear the same."""

    def __init__(self, number, origin, proxy, shape, features, port=None):
        self.number, self.shape, self.features, self.seen = number, shape, features, []
        self.is_mysql = origin.is_mysql
        self.direct = my.Wire(origin.port, origin.user, origin.password, "shop", shape,
                              plugin=b"caching_sha2_password" if self.is_mysql else b"mysql_native_password")
        self.proxied = my.Wire(port or proxy.port, proxy.user, proxy.password, "shop", shape)
        self.ahead = None          # commands that are sent in one write, before any of their replies is read
        self.forget()

    def forget(self):
        self.open: list[tuple[int, int]] = []      # statements: index in `statements`, which text
        self.given: dict[int, list] = {}           # what was bound last
        self.cursors: set[int] = set()
        self.ran: set[int] = set()
        self.long: set[int] = set()

    def close(self):
        self.direct.close()
        self.proxied.close()

    def tell(self, make, kind, infile=None):
        """`make` gives the payload for one of the two connections."""
        if self.ahead is not None:
            self.ahead.append((make, kind, infile))
            return [("later",)]
        for wire in (self.direct, self.proxied):
            wire.send(make(wire))
        return self.hear(make, kind, infile)

    def hear(self, make, kind, infile):
        heard = []
        for wire in (self.direct, self.proxied):
            payload = make(wire)
            try:
                heard.append(plain(wire.reply(kind, infile, payload)))
                if self.is_mysql and payload[0] in (my.PING, my.INIT_DB, my.RESET):   # it counts those of the statement before
                    heard[-1] = [(*event[:4], 0, *event[5:]) if event[0] == "ok" else event for event in heard[-1]]
            except (ConnectionError, EOFError) as gone:
                heard.append([("gone", type(gone).__name__)])
            except OSError as gone:
                where = "direct" if wire is self.direct else "proxied"
                raise AssertionError(f"no answer to {payload[:200]!r} ({where}): {gone}\n" + "\n".join(map(str, self.seen[-14:])))
        self.heard = heard
        self.seen.append((make(self.direct)[:100], heard[0][-1] if heard[0] else None,
                          bool(heard[0]) and heard[0][0][0] == "columns"))
        assert heard[1] == heard[0], (f"client {self.number}, shape {self.shape:#x}\n" + "\n".join(map(str, self.seen[-14:]))
                                      + f"\nproxied: {str(heard[1])[:3000]}\ndirect:  {str(heard[0])[:3000]}")
        return heard[0]

    def ask(self, sql):
        return self.tell(lambda wire: my.query(sql), "query")

    # --- steps -----------------------------------------------------------------------------------
    def step(self, random):
        family = random.choices(
            [self.text, self.transaction, self.multi, self.prepare, self.execute, self.end_statement, self.simple,
             self.setting, self.unknown, self.cursor, self.long_data, self.load, self.pinning, self.afresh, self.other_user,
             self.pipeline],
            [8, 4, 3, 4, 7, 2, 2, 2, 1, 2, 2, 1, 4 if self.features == "pin" else 0, 0.5, 0.5, 5])[0]
        family(random)
        if random.random() < 0.25:
            # How many rows the query had can be asked where the step before was one (MariaDB does not count those of VALUES).
            was_query = self.seen and not re.search(rb" f|insert_id\(", self.seen[-1][0]) and re.match(rb"\x03\(?(select|with)[^;]*$", self.seen[-1][0]) and self.seen[-1][2]
            # MariaDB keeps a list of warnings through what uses no tables; the proxy does not always.
            last = self.seen[-1] if self.seen else (b"", None, False)
            # Behind a warning that strictness made an error of, or a string that is none in its character set, MariaDB's list
            # has two; an ERR tells of one.
            on_tables = last[1] and last[1][:2] not in (("err", 1292), ("err", 1300), ("err", 1243)) and (last[1][0] == "err" or re.search(rb" (from|into) [ta]\d|update t", last[0]))
            asks = ASKS + (ASKS_OF_WARNINGS if on_tables else []) + (ASKS_OF_QUERIES if was_query else [])
            self.question(self.filled(random, random.choice(asks)))
        if self.features == "units":
            self.settle()

    def question(self, sql):
        """About the statement before; a proxy that cannot know may say so (1235), but must not be wrong."""
        try:
            self.ask(sql)
        except AssertionError:
            if not self.heard[1] or self.heard[1][0][:2] != ("err", 1235) or sql.startswith("insert"):
                raise
            self.ask(f"select k from t{self.number}")

    def filled(self, random, text):
        return text.format(c=self.number, n=random.randrange(40))

    def settle(self):
        """Nothing stays open."""
        for index in list(self.cursors | self.long):
            self.tell(lambda wire: bytes([my.RESET]) + wire.statements[index].to_bytes(4, "little"), "query")
        self.cursors.clear()
        self.long.clear()
        for sql in ("do 1", "rollback", "set autocommit = 1"):
            self.ask(sql)

    def pipeline(self, random):
        """Several commands in one write. What they are does not depend on the answers of those before."""
        self.ahead = []
        for _ in range(random.randrange(2, 7)):
            steps = [self.text, self.transaction, self.multi, self.execute, self.end_statement, self.simple, self.unknown, self.long_data]
            random.choices(steps, [6, 2, 1, 3, 2, 2, 1, 2])[0](random)
        told, self.ahead = self.ahead, None
        for wire in (self.direct, self.proxied):
            wire.send(*(make(wire) for make, _, _ in told))
        for make, kind, infile in told:
            self.hear(make, kind, infile)

    def text(self, random):
        self.ask(self.filled(random, random.choice(TEXTS)))

    def transaction(self, random):
        for sql in random.choice(TRANSACTIONS):
            self.ask(self.filled(random, sql))

    def multi(self, random):
        texts = MULTI if self.features == "units" else MULTI + MULTI_OPEN
        self.ask(self.filled(random, random.choice(texts)))

    def setting(self, random):
        self.ask(random.choice(SETTINGS))

    def pinning(self, random):
        for sql in random.choice(PINNING):
            self.ask(self.filled(random, sql))

    def simple(self, random):
        payload = random.choice([bytes([my.PING]), bytes([my.INIT_DB]) + b"shop", bytes([my.INIT_DB]) + b"nowhere",
                                 bytes([my.INIT_DB]) + b"attic", bytes([my.FIELD_LIST]) + f"t{self.number}\0".encode(),
                                 my.query("use shop"), my.query("use attic"), bytes([my.INIT_DB]) + b"shop"])
        self.tell(lambda wire: payload, "fields" if payload[0] == my.FIELD_LIST else "query")

    def unknown(self, random):
        payload, kind = random.choice([
            (my.execute(999_999, []), "query"), (bytes([my.RESET]) + struct.pack("<I", 999_999), "query"),
            (bytes([my.FETCH]) + struct.pack("<II", 999_999, 1), "query"),
            (bytes([my.LONG_DATA]) + struct.pack("<IH", 999_999, 0) + b"lost", "none"),
            (bytes([my.CLOSE]) + struct.pack("<I", 999_999), "none")])
        self.tell(lambda wire: payload, kind)

    def afresh(self, random):
        """COM_RESET_CONNECTION: statements, settings and transactions go."""
        self.tell(lambda wire: bytes([my.RESET_CONNECTION]), "query")
        # MariaDB forgets the database's collation until it is entered again.
        self.tell(lambda wire: bytes([my.INIT_DB]) + b"shop", "query")
        self.forget()

    def other_user(self, random):
        """COM_CHANGE_USER, to the same one: likewise, and the collation is what it says."""
        # No unknown one: behind it MariaDB's reset goes back to the number before.
        charset = random.choice([8, 33, 45, 46, 63, 224] + ([255] if self.is_mysql else [608, 1069, 2304, 2311]))
        for wire in (self.direct, self.proxied):
            wire.change_user(charset=charset)
        self.seen.append((f"change user, {charset}".encode(), None, False))
        self.forget()

    def load(self, random):
        if not self.shape & my.LOCAL_FILES:
            # A transaction that is read only would be refused first.
            for sql in ("use shop", f"select k from t{self.number}", "commit"):
                self.ask(sql)
        words = random.choice(["", "ignore ", "replace "])
        sql = f"load data local infile 'any' {words}into table t{self.number}"
        self.tell(lambda wire: my.query(sql), "query", random.choice([FILE, None]))

    # --- statements ------------------------------------------------------------------------------
    def prepare(self, random):
        which = random.randrange(len(PREPARED))
        sql = PREPARED[which][0].format(c=self.number).encode()
        heard = self.tell(lambda wire: bytes([my.PREPARE]) + sql, "prepare")
        if heard[0][0] == "prepared":
            self.open.append((len(self.direct.statements) - 1, which))

    def end_statement(self, random):
        if not self.open:
            return
        if random.random() < 0.6:
            index, _ = self.open.pop(random.randrange(len(self.open)))
            self.tell(lambda wire: bytes([my.CLOSE]) + wire.statements[index].to_bytes(4, "little"), "none")
        else:
            index, _ = random.choice(self.open)
            self.tell(lambda wire: bytes([my.RESET]) + wire.statements[index].to_bytes(4, "little"), "query")
        self.cursors.discard(index)
        self.long.discard(index)

    def value(self, random):
        return random.choice([random.randrange(40), f"s{random.randrange(9)}", None, 1.5, b"\0\xff'", *TYPED])

    def execute(self, random, flags=0):
        if not self.open:
            return None
        index, which = random.choice(self.open)
        return self.execution(random, index, which, flags)

    def execution(self, random, index, which, flags):
        count = PREPARED[which][1]
        given = [self.value(random) for _ in range(count)]
        if index in self.long:
            given[0] = b""
        known = index in self.given
        if self.is_mysql and given:
            # It keeps the first types and converts to them; the proxy has a statement for each (docs/mysql.md).
            given = self.given[index] if known else [1 if value is None else value for value in given]
        types, values = zip(*map(encoded, given)) if given else ((), ())
        bound = not (known and random.random() < 0.5)
        if known and not bound:
            # As last time, in other words: no types are sent, so the values have to be of those.
            given = [value if random.random() < 0.8 else None for value in self.given[index]]
            _, values = zip(*map(encoded, given)) if given else ((), ())
        elif given:
            self.given[index] = given
        if index in self.long:
            values = (b"", *values[1:])  # it has been sent
        heard = self.tell(lambda wire: my.execute(wire.statements[index], list(values), list(types) if bound else None, flags),
                          "cursor" if flags else "query")
        self.long.discard(index)
        self.cursors.discard(index)
        self.ran.add(index)
        return index, heard

    def cursor(self, random):
        """An execution with a cursor, and fetches from it; or one more fetch from one that may be open."""
        if self.cursors and random.random() < 0.5:
            return self.fetch(random, random.choice(sorted(self.cursors)))
        reads = [(index, which) for index, which in self.open if PREPARED[which][0].startswith("select") and index not in self.long]
        if not reads:
            return None
        index, which = random.choice(reads)
        if self.is_mysql and index not in self.ran:   # it ends a later one without a cursor in a way that is not legal
            self.execution(random, index, which, 0)
        _, heard = self.execution(random, index, which, 1)
        if heard[-1][0] in ("eof", "end", "column"):
            self.cursors.add(index)
            if random.random() < 0.7:
                self.fetch(random, index)
        return None

    def fetch(self, random, index):
        rows = random.choice([1, 2, 1000])
        self.tell(lambda wire: bytes([my.FETCH]) + struct.pack("<II", wire.statements[index], rows), "fetch")

    def long_data(self, random):
        usable = [(index, which) for index, which in self.open if PREPARED[which][1] > 0]
        if not usable:
            return
        index, which = random.choice(usable)
        if self.given.get(index, [None])[0].__class__ is not bytes:
            # The first parameter has to be bound as a blob before data may be sent for it without types.
            return
        for _ in range(random.randrange(1, 3)):
            self.tell(lambda wire: bytes([my.LONG_DATA]) + struct.pack("<IH", wire.statements[index], 0) + b"long" * 20, "none")
        self.long.add(index)
        if random.random() < 0.7:
            self.execution(random, index, which, 0)


class Typed:
    """A parameter in a binary type of its own."""

    def __init__(self, type_, data):
        self.type, self.data = type_, data


TYPED = [Typed(b"\x01\0", b"\xfe"), Typed(b"\x01\x80", b"\xfe"), Typed(b"\x02\0", struct.pack("<h", -3)),
         Typed(b"\x03\x80", struct.pack("<I", 4_000_000_000)), Typed(b"\x08\x80", struct.pack("<Q", 1 << 63)),
         Typed(b"\x04\0", struct.pack("<f", 0.5)), Typed(b"\x0a\0", bytes([4, 0xE8, 7, 2, 29])),
         Typed(b"\x0c\0", bytes([11, 0xE8, 7, 2, 29, 1, 2, 3, 4, 0, 0, 0])), Typed(b"\x0c\0", b"\0"),
         Typed(b"\x0b\0", bytes([8, 1, 0, 0, 0, 0, 12, 34, 56])), Typed(b"\xf6\0", my.lenenc_string(b"12.340")),
         Typed(b"\xfe\0", my.lenenc_string("é".encode())), Typed(b"\x0f\0", my.lenenc_string(b"v"))]


def encoded(value):
    return (value.type, value.data) if isinstance(value, Typed) else my.parameter(value)


def schema(is_mysql):
    if not is_mysql:
        return SCHEMA
    made = []
    for statement in SCHEMA:
        words = statement.split()
        if words[:3] == ["create", "or", "replace"] and words[3] != "view":
            made.append(f"drop {words[3]} if exists {words[4].split('(')[0]}")
            statement = statement.replace("create or replace", "create")
        made.append(statement)
    return made


def run(seed, origins, proxy, features, steps=60, relays=()):
    """One script; on a difference its seed and the steps before it are in the error. `relays`: before the proxy, behind it."""
    is_mysql = origins[0].is_mysql
    for origin in origins:
        origin.sql("delimiter //\n" + "//\n".join([*schema(is_mysql), ""]))
    rng = random.Random(seed)
    for relay in relays:
        relay.deal(seed if seed % 2 else None)
    port = relays[0].port if relays else proxy.port
    pairs = [Pair(c, origins[0], proxy, rng.choice(SHAPES), features, port) for c in range(CLIENTS)]
    try:
        for _ in range(steps):
            rng.choice(pairs).step(rng)
    except BaseException as error:
        raise AssertionError(f"seed {seed}, {features}: {error}") from error
    finally:
        for pair in pairs:
            pair.close()
