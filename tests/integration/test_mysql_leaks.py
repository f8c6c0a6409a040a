"""What a MySQL session becomes by its own statements, and by triggers and stored programs, shows in no other session and
in nobody's cached answer."""

import concurrent.futures
import contextlib
import struct

import pymysql
import pytest

from support.mariadb import MariaDB
from support.mysql_client import client, rows
from support.mywire import Wire, execute
from support.mysql_raw import USUAL, SESSION_TRACK, Raw
from support.ports import wait_for
from support.proxy import Proxy

SCHEMA = """
create table item (id int primary key, name varchar(40), price decimal(10,2), made datetime, seen timestamp null);
insert into item select seq, concat('item ', seq), seq * 1.5, '2024-01-02 03:04:05', '2024-07-02 03:04:05' from seq_1_to_30;
create table pad (c char(5)); insert into pad values ('ab');
create table zoned (id int primary key); insert into zoned values (1);
create trigger zone before insert on zoned for each row set time_zone = '+07:00';
create table noted (id int); create trigger note before insert on noted for each row set @audit = 5;
create table locking (id int);
create table making (id int);
create table waits (id int); create trigger wait before insert on waits for each row set lock_wait_timeout = 17;
delimiter //
create trigger locks before insert on locking for each row begin declare x int; set x = get_lock('kept', 0); end//
create trigger makes after insert on making for each row begin create temporary table if not exists kept as select 1 id; end//
create procedure set_zone() begin set time_zone = '+07:00'; end//
create procedure set_zone_and_fail() begin set time_zone = '+07:00'; select * from no_such_table; end//
create procedure make_temp() begin create temporary table kept as select 1 id; end//
create function zone_fn() returns int begin set time_zone = '+07:00'; return 1; end//
create function failing_fn() returns int begin set time_zone = '+07:00'; insert into zoned values (1); return 1; end//
create view zone_view as select zone_fn() x//
create view failing_view as select failing_fn() x//
"""
HIDDEN = ["call set_zone()", "call set_zone_and_fail()", "call make_temp()", "select zone_fn()", "do zone_fn()",
          "set @x = zone_fn()", "select * from zone_view", "select * from failing_view", "insert into zoned values (2)",
          "insert into zoned values (1)", "insert into noted values (1)", "insert into waits values (1)",
          "execute immediate \"set time_zone = '+07:00'\"", "begin not atomic set time_zone = '+07:00'; end",
          "if 1 then set time_zone = '+07:00'; end if", "set time_zone = '+07:00', no_such_variable = 1",
          "set statement time_zone = '+07:00' for select zone_fn()", "/*!50000 set time_zone = '+07:00' */",
          "set time_zone = '+07:00'; select * from no_such_table"]
# Only the schema tells of these, which is read for the cache.
ONLY_WITH_A_CACHE = ["insert into locking values (1)", "insert into making values (1)"]
READ = "select from_unixtime(0), name from item where id = 1"
BARE = "select from_unixtime(0), @@lock_wait_timeout, @@time_zone"  # before user variables a connection is reset anyway
ALL = ("select from_unixtime(0), @audit, @x, @@lock_wait_timeout, @@time_zone, is_used_lock('kept'),"
       " (select count(*) from item)")


@pytest.fixture(scope="module")
def db():
    with MariaDB() as db:
        db.sql(SCHEMA)
        yield db


@pytest.fixture(scope="module", params=["pin", "hyperdrive"])
def mode(request):
    return request.param


@pytest.fixture(scope="module")
def caching(db, mode):
    with Proxy(db, caching={"disabled": False}, origin_connection_limit=2,
               local={"invalidation": "writes", "session_features": mode}) as p:
        yield p


@pytest.fixture(scope="module")
def lone(db, mode):
    with Proxy(db, caching={"disabled": True}, origin_connection_limit=1, local={"session_features": mode}) as p:
        yield p


def ask_all(client, sql):
    answer = client.ask(sql)
    while answer[-1][1][0] != 0xFF and answer[-1][1][3] & 8:
        answer = client.result()


def payloads(client, sql):
    return [payload for _, payload in client.ask(sql)]


def check_others(p, db):
    with Raw(db) as direct, Raw(p) as other:
        for sql in ("select is_used_lock('kept')", "select * from kept", BARE, ALL):
            assert payloads(other, sql) == payloads(direct, sql)
        for _ in range(3):
            assert payloads(other, READ) == payloads(direct, READ)
        assert payloads(other, "select * from kept") == payloads(direct, "select * from kept")


@pytest.mark.parametrize("sql", HIDDEN + ONLY_WITH_A_CACHE)
def test_what_a_stored_program_leaves_reaches_nobody_else_nor_the_cache(db, caching, sql):
    with Raw(caching) as warm, Raw(caching) as writer:
        warm.ask(READ)
        ask_all(writer, sql)
        for _ in range(2):
            writer.ask(READ)
            writer.ask("select from_unixtime(0), 5 from item where id = 2")
        caching.admin("POST", "/v1/purge", '{"all":true}')
        writer.ask(READ)
    check_others(caching, db)
    db.sql("delete from zoned where id > 1")


@pytest.mark.parametrize("begin", ["", "begin"])
@pytest.mark.parametrize("sql", HIDDEN)
def test_what_a_stored_program_leaves_reaches_nobody_else_without_a_cache(db, lone, sql, begin):
    with Raw(lone) as writer:
        if begin:
            writer.ask(begin)
        ask_all(writer, sql)
        if begin:
            writer.ask("commit")
    check_others(lone, db)
    db.sql("delete from zoned where id > 1")


@pytest.mark.parametrize("sql", ["call set_zone()", "select zone_fn()", "insert into zoned values (2)", "do zone_fn()",
                                 "begin not atomic set time_zone = '+07:00'; end", "insert into waits values (1)"])
def test_with_pin_a_session_keeps_what_a_stored_program_has_set(db, lone, mode, sql):
    if mode != "pin":
        pytest.skip("kept with pin only")
    with Raw(lone) as client, Raw(db) as direct:
        ask_all(client, sql)
        db.sql("delete from zoned where id > 1")
        ask_all(direct, sql)
        assert payloads(client, ALL) == payloads(direct, ALL)
    db.sql("delete from zoned where id > 1")


def test_a_session_hears_of_changes_only_what_it_asked_for(db, lone):
    tracking = USUAL | SESSION_TRACK
    with Raw(lone, tracking) as client, Raw(db, tracking) as direct:
        for sql in ["set lock_wait_timeout = 9", "set time_zone = '+01:00'", "call set_zone()", "select zone_fn()"]:
            assert payloads(client, sql) == payloads(direct, sql), sql
        client.ask("set session_track_state_change = 1"), direct.ask("set session_track_state_change = 1")
        assert payloads(client, "set lock_wait_timeout = 8") == payloads(direct, "set lock_wait_timeout = 8")


# --- settings of sessions' own ----------------------------------------------------------------------------------------

STATEMENTS = [
    "select 'a' || 'b', not 1 between -5 and 5", "select 1 / 3 from item where id = 1", "select 'é', hex('é'), 'a' = 'A'",
    "select dayname(made), date_format(made, '%W %b'), week(made) from item where id = 1", "select concat(c, '|') from pad",
    "select from_unixtime(0), seen, unix_timestamp('2024-01-01') from item where id = 1", "select 'a\\\\b'",
    "select group_concat(name order by id) from item", "select id from item order by id", 'select "id" from item where id = 1',
    "select charset('a'), collation('a'), name = 'ITEM 1' from item where id = 1", "select cast(5 as char), round(2.5)",
    "select cast(1 as unsigned) - 1, cast('2024-00-10' as date)", "select cast('10:00:00.9' as time)",
]
SETTINGS = [
    "names latin1", "names utf8mb3", "names utf8mb4 collate utf8mb4_bin", "names cp1251", "names binary", "character set latin1",
    "character_set_results = latin1", "character_set_results = NULL", "character_set_connection = latin1",
    "character_set_client = latin1", "collation_connection = latin1_swedish_ci", "collation_connection = utf8mb4_bin",
    "time_zone = '+05:00'", "time_zone = '-11:00'", "sql_mode = ''", "sql_mode = 'ANSI'", "sql_mode = 'PIPES_AS_CONCAT'",
    "sql_mode = 'NO_BACKSLASH_ESCAPES'", "sql_mode = 'HIGH_NOT_PRECEDENCE'", "sql_mode = 'NO_UNSIGNED_SUBTRACTION'",
    "sql_mode = 'PAD_CHAR_TO_FULL_LENGTH'", "sql_mode = 'TIME_ROUND_FRACTIONAL'", "sql_mode = 4", "sql_mode = 1048576",
    "sql_mode = 'ORACLE'", "sql_mode = 'MSSQL'", "sql_mode = concat(@@sql_mode, ',ANSI')", "group_concat_max_len = 5",
    "div_precision_increment = 9", "lc_time_names = 'de_DE'", "default_week_format = 3", "sql_select_limit = 2",
    "@@session.sql_select_limit = 3", "local sql_select_limit = 4", "statement sql_select_limit = 2 for do 1",
]


def test_no_setting_of_a_session_shows_in_anothers_answer(db, caching):
    differ = set()
    with Raw(caching) as usual:
        known = {sql: [payloads(usual, sql) for _ in range(2)][-1] for sql in STATEMENTS}
        for setting in SETTINGS:
            with Raw(caching) as client, Raw(db) as direct:
                assert payloads(client, "set " + setting) == payloads(direct, "set " + setting), setting
                for sql in STATEMENTS:
                    right = payloads(direct, sql)
                    assert [payloads(client, sql) for _ in range(2)] == [right, right], (setting, sql)
                    if right != known[sql]:
                        differ.add(setting)
            for sql in STATEMENTS:
                assert payloads(usual, sql) == known[sql], (setting, sql)
    assert len(differ) == len(SETTINGS) - 1  # all but the one that ends with its statement


@pytest.mark.parametrize("charset", [8, 33, 45, 46, 63, 224])
def test_the_character_set_of_a_login_is_the_sessions_own(db, caching, charset):
    with Raw(caching) as usual, Raw(caching, charset=charset) as client, Raw(db, charset=charset) as direct:
        for sql in STATEMENTS:
            usual.ask(sql)
            assert payloads(client, sql) == payloads(direct, sql), sql

def change_user(client, where, database, charset=45):
    """COM_CHANGE_USER; gives the first byte of what it ends with."""
    login = where.login()
    client.socket.sendall(client.framed(b"\x11" + login["user"].encode() + b"\0\0" + database.encode() + b"\0"
                                        + bytes([charset, 0]) + b"mysql_native_password\0"))
    sequence, payload = client.packet()
    if payload[:1] == b"\xfe":
        scramble = payload[payload.index(b"\0", 1) + 1:][:20]
        client.socket.sendall(client.framed(client.native(login["password"].encode(), scramble), sequence + 1))
        payload = client.packet()[1]
    return payload[0]


@pytest.mark.parametrize("charset", [45, 8])
def test_a_changed_user_begins_afresh_and_shares_only_with_its_like(db, caching, charset):
    with Raw(caching) as usual, Raw(caching) as client, Raw(db) as direct:
        for sql in STATEMENTS:
            usual.ask(sql)
        for one, where in ((client, caching), (direct, db)):
            one.ask("set time_zone = '+07:00', sql_mode = 'ANSI', group_concat_max_len = 5, @audit = 1")
            one.ask("set names latin1")
            one.ask("begin")
            assert change_user(one, where, caching.database, charset) == 0
        for sql in STATEMENTS + [ALL]:
            for _ in range(2):
                assert payloads(client, sql) == payloads(direct, sql), sql


def test_a_changed_user_has_the_collation_it_asked_for_by_whatever_number(db):
    ids = [int(word) for word in db.sql("select id from information_schema.collation_character_set_applicability"
                                        " where character_set_name not in ('ucs2', 'utf16', 'utf16le', 'utf32')").split()]
    asks = "select @@character_set_client, @@collation_connection, @@character_set_results"
    with Proxy(db, caching={"disabled": True}, origin_connection_limit=1) as p, \
            Wire(p.port, p.user, p.password, db.database) as proxied, Wire(db.port, db.user, db.password, db.database) as direct:
        assert len(ids) > 500
        for number in [*ids, 4000, 250, 301]:
            for wire in (proxied, direct):
                wire.change_user(charset=number)
            assert proxied.values(asks) == direct.values(asks), number


@pytest.mark.parametrize("sql", ["set names default", "set character set default", "set character_set_client = default",
                                 "set collation_connection = default", "set @@character_set_results = default"])
def test_the_default_charset_of_one_session_is_not_that_of_others(db, sql):
    """The server's default, which is not what a connection has by its login."""
    asks = "select @@character_set_client, @@collation_connection, @@character_set_results"
    with Proxy(db, caching={"disabled": True}, origin_connection_limit=1) as p, \
            Wire(p.port, p.user, p.password, db.database) as one, Wire(p.port, p.user, p.password, db.database) as other, \
            Wire(db.port, db.user, db.password, db.database) as direct, Wire(db.port, db.user, db.password, db.database) as untouched:
        one.ask(sql), direct.ask(sql)
        for _ in range(2):
            assert other.values(asks) == untouched.values(asks)
            assert one.values(asks) == direct.values(asks)


@pytest.mark.parametrize("sql", ["set character_set_results = null", "set collation_connection = latin1_german1_ci",
                                 "set character_set_client = latin1"])
def test_who_sets_one_part_of_the_charset_has_the_others_from_nobody_else(db, sql):
    asks = "select @@character_set_client, @@collation_connection, @@character_set_results"
    with Proxy(db, caching={"disabled": True}, origin_connection_limit=1) as p, \
            Wire(p.port, p.user, p.password, db.database) as one, Wire(p.port, p.user, p.password, db.database, charset=8) as other, \
            Wire(db.port, db.user, db.password, db.database) as direct:
        one.ask(sql), direct.ask(sql)
        for names in ("set names utf8mb4 collate utf8mb4_bin", "set names latin2"):
            other.ask(names), other.ask("select 1")
            assert one.values(asks) == direct.values(asks)


@pytest.mark.parametrize("caching", [True, False])
@pytest.mark.parametrize("sql", ["set role reader", "call become_reader()", "execute immediate 'set role reader'",
                                 "begin not atomic set role reader; end", "/*!50000 set role reader */",
                                 "set statement lock_wait_timeout = 9 for set role reader"])
def test_a_role_is_the_sessions_own(db, mode, sql, caching):
    """COM_RESET_CONNECTION does not take it away."""
    db.sql("create or replace role reader; create database if not exists closed; create table if not exists closed.secret as"
           " select 42 x; grant select on closed.* to reader; create or replace user plain@'%' identified by 'plain-secret';"
           " create or replace procedure become_reader() sql security invoker set role reader;"
           " grant all on shop.* to plain@'%'; grant reader to plain@'%'")
    local = {"session_features": mode, "invalidation": "writes"}
    read = "select x from closed.secret"
    with Proxy(db, origin_user="plain", origin_password="plain-secret", caching={"disabled": not caching},
               origin_connection_limit=3 if caching else 1, local=local) as p:
        with Raw(p) as entitled:
            assert entitled.ask(sql)[-1][1][:1] != b"\xff"
            for _ in range(2):
                entitled.ask(read)
                if mode == "hyperdrive":
                    with Raw(p) as other:
                        assert other.ask(read)[-1][1][:1] == b"\xff"
        with Raw(p) as other:
            assert other.ask(read)[-1][1][:1] == b"\xff"


# --- what connections remember, and functions that nobody names -------------------------------------------------------

FUNCTIONS = """
create table counted (id int auto_increment primary key);
create sequence numbers;
delimiter //
create function lock_fn() returns int begin declare x int; set x = get_lock('kept', 0); return x; end//
create function temp_fn() returns int begin create temporary table if not exists kept as select 1 id; return 1; end//
create function counting_fn() returns int begin insert into counted values (null); return 1; end//
create function `of`() returns int return (select max(id) from counted)//
create view lock_view as select lock_fn() x//
create view temp_view as select temp_fn() x//
create view counting_view as select counting_fn() x//
"""


@pytest.fixture(scope="module")
def functions(db):
    db.sql(FUNCTIONS)


NAMED_OTHERWISE = ["select lock_fn/**/()", "select lock_fn -- in\n()", "select lock_fn # in\n ()", "select `lock_fn` ()",
                   "select shop.lock_fn()", "select shop . lock_fn()", "select temp_fn/* x */()"]


@pytest.mark.parametrize("sql", NAMED_OTHERWISE + ["select * from lock_view", "select * from temp_view"])
def test_a_function_leaves_nothing_however_it_is_called(db, functions, mode, caching, lone, sql):
    for proxy in [caching, lone] if sql in NAMED_OTHERWISE else [caching]:
        with Raw(proxy) as caller:
            caller.ask(sql)
            if mode == "hyperdrive":
                check_others(proxy, db)
        check_others(proxy, db)


@pytest.mark.parametrize("sql", ONLY_WITH_A_CACHE + ["select * from lock_view", "select * from temp_view"])
def test_what_only_the_schema_tells_of_reaches_nobody_without_a_cache(db, functions, mode, sql):
    with Proxy(db, caching={"disabled": True}, origin_connection_limit=1, local={"session_features": mode}) as p:
        for _ in range(2):
            with Raw(p) as caller:
                caller.ask(sql)
            with Raw(p) as other:  # without user variables, before which a connection is reset anyway
                assert payloads(other, "select is_used_lock('kept') is null")[-2] == b"\x011"
                assert payloads(other, "select * from kept")[-1][:3] == b"\xff\x7a\x04"


def test_code_that_is_made_through_the_proxy_is_known_without_a_cache_soon(db):
    with Proxy(db, caching={"disabled": True}, origin_connection_limit=2) as p:
        with Raw(p) as maker:
            for sql in ["create or replace table late (id int)",
                        "create trigger late before insert on late for each row begin declare x int; set x = get_lock('late', 0); end"]:
                assert maker.ask(sql)[-1][1][:1] == b"\0"

        def is_known():
            with Raw(p) as caller:
                caller.ask("insert into late values (1)")
            return db.sql("select is_used_lock('late') is null").strip() == "1"
        wait_for(is_known, 10, "the trigger is known")


def test_counting_rows_again_does_not_write_again(db, functions, caching):
    with client(caching) as c, client(caching) as other:
        for sql in ["select * from counting_view", "select next value for numbers"]:
            db.sql("delete from counted; alter sequence numbers restart 1")
            rows(c, sql)
            for _ in range(3):
                rows(other, "select count(*) + 0 from item")
            with contextlib.suppress(pymysql.err.NotSupportedError):
                rows(c, "select found_rows()")
            assert db.sql("select count(*) from counted").strip() in "01"
            assert rows(other, "select next value for numbers")[0][0] <= 2


def test_a_sequences_previous_value_is_the_sessions_own(db, functions, lone):
    with client(lone) as c, client(lone) as other:
        rows(c, "select next value for numbers")
        for sql in ["select previous value for numbers", "select PREVIOUS/**/VALUE FOR numbers", "select lastval(numbers)"]:
            assert rows(other, sql) == [(None,)]


@pytest.mark.parametrize("switch", ["set profiling = 1", "set optimizer_trace = 'enabled=on'", "set @@session.profiling = 1",
                                    "set statement optimizer_trace = 'enabled=on' for select 'of the other' from item"])
def test_what_a_session_has_recorded_of_itself_is_not_shown_to_others(db, lone, switch):
    with client(lone) as c:
        rows(c, switch)
        rows(c, "select 'of the other' from item")
    with client(lone) as other:
        for sql in ["show profiles", "select * from information_schema.profiling", "select * from information_schema.optimizer_trace"]:
            assert rows(other, sql) == []


@pytest.fixture(scope="module")
def killing(db):
    with Proxy(db, caching={"disabled": True}, origin_connection_limit=2) as p:
        yield p


@pytest.mark.parametrize("sql,ends", [
    ("kill query id {}", "nothing"), ("kill query user 'x{}'", "nothing"), ("kill /* query */ {}", "connection"),
    ("kill soft query {}", "query"), ("kill hard connection {}", "connection")])
def test_kill_ends_what_it_names(db, killing, sql, ends):
    with client(killing) as victim, client(killing) as killer, concurrent.futures.ThreadPoolExecutor() as pool:
        asleep = pool.submit(rows, victim, "select sleep(1)")
        wait_for(lambda: "sleep(1)" in db.sql("select info from information_schema.processlist where user = 'app'"), 10, "asleep")
        with contextlib.suppress(pymysql.err.MySQLError):
            rows(killer, sql.format(victim.thread_id()))
        if ends == "nothing":
            assert asleep.result() == [(0,)]
            return
        with pytest.raises(pymysql.err.MySQLError):
            asleep.result()
        if ends == "query":
            assert rows(victim, "select 1") == [(1,)]
            return
        with pytest.raises(pymysql.err.MySQLError):
            rows(victim, "select 1")


NUMBERS = [
    ["set insert_id = 700", "insert into numbered (v) values (1)", "insert into numbered (v) values (1)"],
    ["set insert_id = 800", "do 1", "update numbered set v = 2", "insert into no_such values (1)", "insert into numbered values (790, 1)",
     "select @@insert_id", "insert into numbered (v) values (1), (2), (3)", "select @@insert_id"],
    ["set insert_id = 900", "call numbers_one()", "select @@insert_id", "insert into numbered (v) values (1)"],
    ["set insert_id = 1000", "begin", "insert into numbered (v) values (1)", "rollback", "insert into numbered (v) values (1)"],
    ["set @@insert_id := 1100, timestamp = 5", "insert into numbered (v) select 1", "select @@insert_id, now() < '1970-01-03'"],
    ["set insert_id = 1200", "set insert_id = 1000 + 300", "insert into numbered (v) values (1)"],
    ["set insert_id = 1400", "set insert_id = 0", "select @@insert_id", "insert into numbered (v) values (1)"],
    ["set insert_id = 1500", "set insert_id = default", "insert into numbered (v) values (1)"]]


@pytest.mark.parametrize("script", NUMBERS, ids=lambda script: script[1])
def test_a_number_set_for_the_next_insert_waits_for_it_and_is_nobody_elses(db, script):
    """Nor does it keep the pool's only connection from others."""
    heard = []
    for where in (db, None):
        db.sql("create or replace table numbered (id int auto_increment primary key, v int);"
               " create or replace procedure numbers_one() insert into numbered (v) values (1)")
        with contextlib.ExitStack() as stack:
            where = where or stack.enter_context(Proxy(db, caching={"disabled": True}, origin_connection_limit=1,
                                                       local={"wait_timeout": "5s"}))
            one, other = (stack.enter_context(Raw(where)) for _ in range(2))
            heard.append([])
            for sql in script:
                heard[-1].append((sql, payloads(one, sql)))
                if script[1] != "begin":
                    assert payloads(other, "select @@insert_id")[-2] == b"\x010"
            heard[-1].append(db.sql("select id, v from numbered"))
    assert heard[1] == heard[0]


@pytest.mark.parametrize("again", [False, True])
def test_two_statements_of_one_text_keep_their_long_data_and_cursors_apart(db, again):
    """On a pooled connection they are one statement, until something of the client's is in one of them."""
    text = "select length(?), seq from seq_1_to_5"
    with Proxy(db, caching={"disabled": True}, origin_connection_limit=1) as p:
        heard = []
        for where in (db, p):
            with Wire(where.port, where.user, where.password, db.database) as c:
                def tell(payload, kind):
                    c.send(payload)
                    return c.reply(kind, None, payload)

                def prepare():
                    tell(b"\x16" + text.encode(), "prepare")
                    return c.statements[-1]
                one = prepare()
                two = None if again else prepare()
                log = [tell(execute(one, [b"\x05abcde"], [b"\xfc\0"], 1), "cursor")]
                two = prepare() if again else two
                log += [tell(b"\x1c" + struct.pack("<II", one, 2), "fetch")]
                tell(b"\x18" + struct.pack("<IH", two, 0) + b"long" * 7, "none")
                log += [tell(b"\x1c" + struct.pack("<II", one, 1), "fetch"), tell(execute(two, [b""], [b"\xfc\0"]), "query"),
                        tell(b"\x1c" + struct.pack("<II", one, 1000), "fetch"), tell(execute(one, [b"\x02xy"], [b"\xfc\0"]), "query"),
                        tell(b"\x19" + struct.pack("<I", two), "none"), tell(execute(one, [b"\x01x"], [b"\xfc\0"]), "query")]
                heard.append([[event[:2] for event in part if event[0] == "row" or event[0] == "err"] for part in log])
        assert heard[0] == heard[1]
        assert sum(map(len, heard[0])) >= 20
