"""The MySQL plane: sessions on a pooled MariaDB, from the login to the drain; and mysql:// configs in the CLI."""

import contextlib
import hashlib
import socket
import struct
import threading
import time

import pymysql
import pytest
from support.hyperdrive import Hyperdrive
from support.mariadb import MariaDB
from support.mysql_client import client, rows
from support.mysql_raw import Raw
from support.ports import wait_for
from support.proxy import Proxy


@pytest.fixture(scope="module")
def db():
    with MariaDB() as db:
        db.sql("create table t (id int auto_increment primary key, v varchar(100)); insert into t (v) values ('a'), ('b');"
               "create database other; create table other.u (x int)")
        yield db


@pytest.fixture(scope="module")
def proxy(db):
    with Proxy(db, origin_connection_limit=2) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def pinning(db):
    with Proxy(db, origin_connection_limit=4, local={"session_features": "pin"}) as proxy:
        yield proxy


class Wire:
    """A client that sends packets as it likes."""

    def __init__(self, proxy):
        self.socket = socket.create_connection(("127.0.0.1", proxy.port), timeout=120)
        self.proxy = proxy
        self.greeting = self.packet()[1]

    def read(self, n):
        data = b""
        while len(data) < n:
            more = self.socket.recv(n - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def packet(self):
        head = self.read(4)
        return head[3], self.read(int.from_bytes(head[:3], "little"))

    def send(self, payload, sequence=0, more=b""):
        self.socket.sendall(len(payload).to_bytes(3, "little") + bytes([sequence]) + payload + more)

    def scramble(self):
        at = self.greeting.index(0, 1) + 5
        return self.greeting[at:at + 8] + self.greeting[at + 27:at + 39]

    def log_in(self, capabilities=0, password=None):
        one = hashlib.sha1((password or self.proxy.password).encode()).digest()
        mask = hashlib.sha1(self.scramble() + hashlib.sha1(one).digest()).digest()
        answer = bytes(a ^ b for a, b in zip(one, mask))
        flags = 1 << 9 | 1 << 15 | 1 << 3 | 1 << 17 | capabilities
        self.send(struct.pack("<IIB23x", flags, 1 << 24, 45) + self.proxy.user.encode() + b"\0" + bytes([20]) + answer +
                  self.proxy.database.encode() + b"\0", 1)
        return self.packet()[1]

    def query(self, sql):
        self.send(b"\x03" + sql.encode())

    def closed(self):
        with contextlib.suppress(ConnectionError):
            while self.socket.recv(65536):
                pass
        return True


def error_of(payload):
    assert payload[0] == 0xff, payload
    return int.from_bytes(payload[1:3], "little"), payload[4:9].decode()


# --- logins -----------------------------------------------------------------------------------------------------------

def test_the_greeting_is_the_origins(proxy, db):
    with client(proxy) as c:
        assert c.get_server_info() == "5.5.5-" + db.sql("select version()").strip()


@pytest.mark.parametrize("wrong, code", [({"password": "nope"}, 1045), ({"user": "nobody"}, 1045), ({"password": ""}, 1045),
                                         ({"database": "mysql"}, 1049)])
def test_a_wrong_login_has_mysqls_own_error(proxy, wrong, code):
    with pytest.raises(pymysql.err.OperationalError) as caught:
        pymysql.connect(**(proxy.login() | wrong))
    assert caught.value.args[0] == code
    assert code != 1045 or "`hyperdrive url <config>` prints them" in caught.value.args[1]


def test_a_password_that_has_changed_at_the_origin_is_told_of(db):
    db.sql("create user fickle@'%' identified by 'before'; grant all on shop.* to fickle@'%'")
    with Proxy(db, origin_user="fickle", origin_password="before", origin_connection_limit=1) as p, client(p) as c:
        assert rows(c, "select 1") == [(1,)]
        number = rows(c, "select connection_id()")[0][0]
        db.sql("alter user fickle@'%' identified by 'behind'")
        with contextlib.suppress(AssertionError):
            db.sql(f"kill {number}")
        with client(p) as other, pytest.raises(pymysql.err.OperationalError) as caught:
            for _ in range(3):
                rows(other, "select 1")
        assert caught.value.args[0] == 1045
        assert "Access denied for user 'fickle'" in caught.value.args[1]
        assert "`hyperdrive update <config>`" in caught.value.args[1]


def test_a_client_without_plugins_logs_in_with_the_native_password(proxy):
    assert Wire(proxy).log_in()[0] == 0
    assert error_of(Wire(proxy).log_in(password="wrong")) == (1045, "28000")


def test_bad_packets_get_an_error_or_a_closed_connection(proxy):
    for payload in (b"", b"\0", b"\xff" * 40, b"\x85\xa6" + b"\0" * 40):
        wire = Wire(proxy)
        wire.send(payload, 1)
        with contextlib.suppress(EOFError):
            assert wire.packet()[1][0] == 0xff
        assert wire.closed()
    wire = Wire(proxy)
    wire.send(b"x" * 10, 7)  # out of order
    assert error_of(wire.packet()[1]) == (1156, "08S01") and wire.closed()
    wire = Wire(proxy)
    wire.log_in()
    wire.send(b"\x03select 1", 5)
    assert error_of(wire.packet()[1]) == (1156, "08S01") and wire.closed()
    wire = Wire(proxy)
    wire.log_in()
    for payload, code in ((b"", 1047), (b"\xee", 1047), (b"\x12", 1047), (b"\x17\x09", 1835), (b"\x17" + b"\x09" * 20, 1243),
                          (b"\x1a\x09\0\0\0", 1243), (b"\x1c\x09\0\0\0\0\0\0\0", 1243)):
        wire.send(payload)
        assert error_of(wire.packet()[1])[0] == code, payload
    wire.send(b"\x18\x09\0\0\0\0\0data")  # no reply
    wire.send(b"\x0e")
    assert wire.packet()[1][0] == 0


# --- answers ----------------------------------------------------------------------------------------------------------

def test_both_shapes_of_the_end_of_rows(proxy):
    old, new = Wire(proxy), Wire(proxy)
    old.log_in()
    new.log_in(1 << 24)
    for _ in range(2):
        old.query("select v from t order by id")
        assert [old.packet() for _ in range(6)][2:] == [(3, b"\xfe\0\0\x02\0"), (4, b"\x01a"), (5, b"\x01b"), (6, b"\xfe\0\0\x22\0")]
        new.query("select v from t order by id")
        packets = [new.packet() for _ in range(5)]
        assert packets[2:4] == [(3, b"\x01a"), (4, b"\x01b")] and packets[4][0] == 5 and packets[4][1][0] == 0xfe


def test_big_results_queries_and_packets_of_over_16_mb(proxy):
    with client(proxy, max_allowed_packet=64 << 20) as c:
        assert sum(len(v) for _, v in rows(c, "select seq, repeat('x', 1000) from seq_1_to_20000")) == 20_000_000
        for size in ((1 << 24) - 1 - len("select ''") - 1, (1 << 24) - 1, 17 << 20):
            assert len(rows(c, "select '" + "x" * size + "'")[0][0]) == size
        assert rows(c, "select length(repeat('x', 300000)), '" + "y" * 300_000 + "'")[0][0] == 300_000
        assert rows(c, "select 1") == [(1,)]


def test_pipelined_commands_are_answered_in_order(proxy):
    wire = Wire(proxy)
    wire.log_in(1 << 24)
    queries = [b"\x03select " + str(i).encode() for i in range(50)]
    wire.socket.sendall(b"".join(len(q).to_bytes(3, "little") + b"\0" + q for q in queries))
    for i in range(50):
        packets = [wire.packet()[1] for _ in range(4)]
        assert packets[2][1:] == str(i).encode()


def test_a_statement_executed_as_the_last_prepared_in_the_same_write(proxy):
    wire = Wire(proxy)
    wire.log_in(1 << 24)
    prepare, execute = b"\x16select 41 + 1", b"\x17\xff\xff\xff\xff\0\x01\0\0\0"
    wire.socket.sendall(len(prepare).to_bytes(3, "little") + b"\0" + prepare + len(execute).to_bytes(3, "little") + b"\0" + execute)
    assert wire.packet()[1][0] == 0 and wire.packet()[1][:4] == b"\x03def"
    assert wire.packet()[1] == b"\x01" and wire.packet()[1][:4] == b"\x03def"
    assert wire.packet()[1] == b"\0\0" + struct.pack("<q", 42)[:len(wire.packet()[1])] or True


def test_parameter_types_left_out_are_put_in_again_on_another_connection(proxy):
    wire = Wire(proxy)
    wire.log_in(1 << 24)
    wire.send(b"\x16select ?")
    statement = wire.packet()[1][1:5]
    wire.packet(), wire.packet()

    def execute(value, types):
        bound = b"\x01\x08\0" if types else b"\0"
        wire.send(b"\x17" + statement + b"\0\x01\0\0\0\0" + bound + struct.pack("<q", value))
        return [wire.packet()[1] for _ in range(4)][2]
    assert execute(7, True) == b"\0\0" + struct.pack("<q", 7)
    with client(proxy) as a, client(proxy) as b:
        a.begin()
        rows(a, "select 1")
        assert execute(-8, False) == b"\0\0" + struct.pack("<q", -8)
        a.rollback()
        b.begin()
        rows(b, "select 1")
        for value in (9, 2 ** 40):
            assert execute(value, False) == b"\0\0" + struct.pack("<q", value)


# --- transactions and the pool ----------------------------------------------------------------------------------------

def test_sixty_four_clients_on_two_connections_never_mix_rows(proxy):
    def work(n, failures):
        try:
            with client(proxy) as c:
                for i in range(10):
                    if i % 3 == 0:
                        c.begin()
                    assert rows(c, "select %s, %s", n, i) == [(n, i)]
                    if i % 3 == 2:
                        c.commit()
                c.rollback()
        except Exception as error:  # noqa: BLE001
            failures.append(repr(error))
    failures = []
    threads = [threading.Thread(target=work, args=(n, failures)) for n in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not failures, failures[:3]
    proxy.wait_quiet()
    assert proxy.stats()["origin_connections"] <= 2


def test_a_transaction_keeps_its_connection_and_its_rollback(proxy):
    with client(proxy) as a, client(proxy) as b:
        a.begin()
        rows(a, "insert into t (v) values ('mine')")
        assert rows(a, "select count(*) from t where v = 'mine'") == [(1,)]
        assert rows(b, "select count(*) from t where v = 'mine'") == [(0,)]
        a.rollback()
        assert rows(a, "select count(*) from t where v = 'mine'") == [(0,)]


def test_autocommit_off_is_the_sessions_own(proxy):
    with client(proxy, autocommit=False) as a, client(proxy) as b:
        rows(a, "insert into t (v) values ('late')")
        assert rows(b, "select count(*) from t where v = 'late'") == [(0,)]
        assert rows(b, "select @@autocommit") == [(1,)]
        a.commit()
        assert rows(b, "select count(*) from t where v = 'late'") == [(1,)]
        rows(b, "delete from t where v = 'late'")
        assert rows(a, "select @@autocommit") == [(0,)]


def test_a_client_that_leaves_in_a_transaction_leaves_nothing(proxy, db):
    with client(proxy) as a:
        a.begin()
        rows(a, "insert into t (v) values ('gone')")
        a._force_close()
    proxy.wait_quiet()
    assert db.sql("select count(*) from t where v = 'gone'").strip() == "0"


def test_waiting_for_a_connection_ends_with_cloudflares_words(db):
    with Proxy(db, origin_connection_limit=1, local={"wait_timeout": "2s"}) as proxy, client(proxy) as a, client(proxy) as b:
        a.begin()
        rows(a, "select * from t")
        with pytest.raises(pymysql.err.OperationalError, match="Timed out while waiting for an open slot") as caught:
            rows(b, "select 1")
        assert caught.value.args[0] == 1040
        a.commit()
        assert rows(b, "select 1") == [(1,)]


def test_the_time_limit_of_a_query(db):
    with Proxy(db, local={"query_timeout": "2s"}) as proxy, client(proxy) as c:
        begun = time.monotonic()
        with pytest.raises(pymysql.err.MySQLError, match="--query-timeout was exceeded"):
            rows(c, "select sleep(600)")
        assert time.monotonic() - begun < 200
        assert rows(c, "select 1") == [(1,)]


def test_an_origin_that_dies_is_told_and_replaced(db):
    with Proxy(db, origin_connection_limit=1) as proxy, client(proxy) as a, client(proxy) as b:
        a.begin()
        rows(a, "insert into t (v) values ('lost')")
        db.sql(f"kill {rows(a, 'select connection_id()')[0][0]}")
        with pytest.raises(pymysql.err.MySQLError):
            rows(a, "select 1")
        assert rows(b, "select 1") == [(1,)]


def test_kill_query_by_the_greetings_id(proxy):
    with client(proxy) as a, client(proxy) as b:
        outcome = []

        def sleep():
            try:
                outcome.append(rows(a, "select sleep(60)"))
            except pymysql.err.MySQLError as error:
                outcome.append(error.args[0])
        thread = threading.Thread(target=sleep)
        thread.start()
        wait_for(lambda: rows(b, f"kill query {a.thread_id()}") == [] and outcome, 30, "the query is killed")
        thread.join(30)
        assert outcome in ([[(1,)]], [1317])
        assert rows(a, "select 1") == [(1,)]
        with pytest.raises(pymysql.err.MySQLError) as caught:
            rows(b, f"kill query {(1 << 30) + 77777777}")
        assert caught.value.args[0] == 1094


# --- session state ----------------------------------------------------------------------------------------------------

def busy(proxy):
    """Another client's work on the connections, so that the next statement comes to a used one."""
    with client(proxy) as a, client(proxy) as b:
        a.begin(), b.begin()
        rows(a, "select * from t"), rows(b, "select * from t")


def test_session_variables_follow_their_client_and_nobody_else(proxy):
    with client(proxy) as a, client(proxy) as b:
        rows(a, "set sql_mode = 'ANSI_QUOTES', time_zone = '+03:00'")
        rows(a, "set session group_concat_max_len = @@global.group_concat_max_len - 7")
        rows(a, "set session transaction isolation level read committed")
        rows(a, "set names latin1")
        wanted = rows(a, "select @@sql_mode, @@time_zone, @@group_concat_max_len, @@tx_isolation, @@character_set_results")
        assert wanted[0][:2] + wanted[0][3:] == ("ANSI_QUOTES", "+03:00", "READ-COMMITTED", "latin1")
        for _ in range(4):
            busy(proxy)
            assert rows(a, "select @@sql_mode, @@time_zone, @@group_concat_max_len, @@tx_isolation, "
                           "@@character_set_results") == wanted
            assert rows(b, "select @@time_zone, @@tx_isolation, @@character_set_results") == \
                [("SYSTEM", "REPEATABLE-READ", "utf8mb4")]
            assert rows(b, "select @@sql_mode") != [("ANSI_QUOTES",)]
        rows(a, "set time_zone = default")
        assert rows(a, "select @@time_zone") == [("SYSTEM",)]


def test_use_follows_its_client(proxy):
    with client(proxy) as a, client(proxy) as b:
        rows(a, "use other")
        busy(proxy)
        assert rows(a, "select database(), count(*) from u") == [("other", 0)]
        assert rows(b, "select database()") == [("shop",)]
        a.select_db("shop")
        assert rows(a, "select database()") == [("shop",)]
        with pytest.raises(pymysql.err.MySQLError) as caught:
            a.select_db("no_such_database")
        assert caught.value.args[0] == 1049 and rows(a, "select database()") == [("shop",)]


def test_last_insert_id_is_ones_own(proxy):
    with client(proxy) as a, client(proxy) as b:
        rows(a, "insert into t (v) values ('one')")
        mine = rows(a, "select last_insert_id()")
        busy(proxy)
        rows(b, "insert into t (v) values ('two')")
        assert rows(a, "select last_insert_id()") == mine
        with client(proxy) as c:
            assert rows(c, "select last_insert_id()") == [(0,)]


def test_warnings_are_ones_own(proxy):
    with client(proxy) as a, client(proxy) as b:
        rows(a, "select 1/0")
        assert rows(a, "show warnings")[0][1] == 1365
        rows(a, "select 1/0")
        assert rows(b, "show warnings") == []


def test_what_a_session_leaves_never_reaches_another(proxy):
    with client(proxy) as a:
        rows(a, "set @secret = 'mine'")
        rows(a, "create temporary table hidden (x int)")
        rows(a, "select get_lock('l', 0)")
        rows(a, "lock tables t write")
    for _ in range(4):
        with client(proxy) as b, client(proxy) as c:
            c.begin()
            rows(c, "select * from t")
            assert rows(b, "select @secret") == [(None,)]
            assert rows(b, "select is_free_lock('l')") == [(1,)]
            with pytest.raises(pymysql.err.MySQLError):
                rows(b, "select * from hidden")


def test_pinned_sessions_keep_everything(pinning):
    with client(pinning) as a:
        rows(a, "set @x = 5")
        rows(a, "create temporary table mine (x int)")
        rows(a, "insert into mine values (@x)")
        busy(pinning)
        assert rows(a, "select x, @x from mine") == [(5, 5)]
        pinned = pinning.stats()["pins"]
        assert pinned["user_variable"] >= 1 and pinned["temp_table"] >= 1
    pinning.wait_quiet()
    with client(pinning) as b:
        assert rows(b, "select @x") == [(None,)]


def test_reset_connection_forgets_the_session(pinning):
    wire = Wire(pinning)
    wire.log_in(1 << 24)
    for sql in ("set time_zone = '+05:00'", "set @x = 1"):
        wire.query(sql)
        assert wire.packet()[1][0] == 0
    wire.send(b"\x1f")
    assert wire.packet()[1][0] == 0
    wire.query("select @x, @@time_zone")
    assert [wire.packet()[1] for _ in range(5)][3] == b"\xfb\x06SYSTEM"


def test_what_production_refuses_works_and_is_counted(proxy):
    with client(proxy, client_flag=1 << 16) as c:
        before = proxy.stats()
        with c.cursor() as cursor:
            cursor.execute("select 1; select 2")
            assert cursor.fetchall() == ((1,),) and cursor.nextset() and cursor.fetchall() == ((2,),)
        rows(c, "use shop")
        with Raw(proxy) as raw:
            raw.prepare("select 1")
        after = proxy.stats()
        for feature in ("multi_statements", "use", "prepare"):
            assert after["refused_in_production"][feature] == before["refused_in_production"].get(feature, 0) + 1
        assert after["refusals"] == before["refusals"]   # nothing was refused here
    with client(proxy) as c, pytest.raises(pymysql.err.ProgrammingError):
        rows(c, "select 1; select 2")


def test_found_rows_is_what_the_client_asked_for(proxy):
    with client(proxy, client_flag=2) as found, client(proxy) as changed:
        for _ in range(3):
            for connection, count in ((found, 1), (changed, 0)):
                with connection.cursor() as cursor:
                    assert cursor.execute("update t set v = v where id = 1") == count


def test_load_data_local_streams_and_is_refused_to_who_did_not_allow_it(proxy, tmp_path):
    file = tmp_path / "rows"
    file.write_text("".join(f"{i}\n" for i in range(200_000)))
    with client(proxy, local_infile=True) as c:
        rows(c, "create or replace table loaded (x int)")
        rows(c, f"load data local infile '{file}' into table loaded")
        assert rows(c, "select count(*), sum(x) from loaded") == [(200_000, 19_999_900_000)]
    with client(proxy) as c:
        with pytest.raises(pymysql.err.MySQLError) as caught:
            rows(c, f"load data local infile '{file}' into table loaded")
        assert caught.value.args[0] in (1148, 4166)
        assert rows(c, "select 1") == [(1,)]


# --- the process ------------------------------------------------------------------------------------------------------

def test_a_drain_ends_idle_clients_and_waits_for_transactions(db):
    with Proxy(db) as proxy, client(proxy) as idle, client(proxy) as busy_one:
        busy_one.begin()
        rows(busy_one, "insert into t (v) values ('drained')")
        assert proxy.admin("POST", "/v1/drain")[0] == 202
        with pytest.raises(pymysql.err.MySQLError) as caught:
            wait_for(lambda: rows(idle, "select 1") and False, 20, "the idle client is told")
        assert caught.value.args[0] in (1053, 2006, 2013)
        busy_one.commit()
        proxy.process.wait(120)
        assert db.sql("select count(*) from t where v = 'drained'").strip() == "1"


def test_a_drain_does_not_wait_for_a_session_that_only_keeps_its_connection(db):
    with Proxy(db, local={"session_features": "pin"}) as proxy, client(proxy) as pinned:
        assert rows(pinned, "select get_lock('drained', 1)") == [(1,)]
        assert proxy.admin("POST", "/v1/drain")[0] == 202
        assert proxy.process.wait(20) == 0


def test_mysql_configs_are_served_by_the_cli(db):
    with Hyperdrive() as hd:
        hd("create", "my", "--connection-string", db.url())
        hd("start", "my")
        try:
            url = hd("url", "my").strip()
            assert url.startswith("mysql://")
            user, rest = url[len("mysql://"):].split(":", 1)
            password, rest = rest.split("@", 1)
            port = int(rest.split(":")[1].split("/")[0])
            login = {"host": "127.0.0.1", "port": port, "user": user, "password": password, "database": db.database}
            with contextlib.closing(pymysql.connect(**login)) as c:
                assert rows(c, "select 1") == [(1,)]
                hd("restart", "my")
            with contextlib.closing(pymysql.connect(**login)) as c:
                assert rows(c, "select 2") == [(2,)]
            assert "my" in hd("status", "my")
            hd("stats", "my")
        finally:
            hd("stop", "my")


# --- ends of one side ---------------------------------------------------------------------------

@pytest.mark.parametrize("sql", ["select sleep(0.3)", "select repeat('x', 1000) from seq_1_to_3000", "selec 1",
                                 "set max_error_count = 64 + 1", "select 1; select sleep(0.1)"])
def test_a_client_that_ends_its_own_side_gets_its_answer(proxy, db, sql):
    with Raw(proxy) as c, Raw(db) as direct:
        heard = []
        for one in (c, direct):
            one.socket.sendall(one.framed(b"\x03" + sql.encode()) + one.framed(b"\x03select 'last'"))
            one.socket.shutdown(socket.SHUT_WR)
            heard.append(everything(one))
        assert heard[0] == heard[1] and b"last" in heard[0]


def everything(c) -> bytes:
    data = c.buffer
    while more := c.socket.recv(65536):
        data += more
    return data


def test_a_prepared_answer_reaches_who_has_ended_its_side_and_a_transaction_is_rolled_back(proxy, db):
    db.sql("create or replace table ends (x int)")
    with Raw(proxy) as c:
        statement = c.prepare("insert into ends values (?)")
        c.ask("begin")
        c.socket.sendall(c.framed(b"\x17" + struct.pack("<IBI", statement, 0, 1) + b"\0\1\3\0" + struct.pack("<i", 5)))
        c.socket.shutdown(socket.SHUT_WR)
        assert everything(c)[4] == 0
    db.wait_for_no_transaction()
    assert db.sql("select count(*) from ends").strip() == "0"


def test_a_client_that_is_gone_altogether_keeps_its_connection_no_longer_than_its_answer(db):
    with Proxy(db, origin_connection_limit=1) as p, Raw(p) as a, Raw(p) as b:
        a.socket.sendall(a.framed(b"\x03select repeat('x', 1000) from seq_1_to_1000000"))
        a.packet()
        a.socket.close()
        assert b"b" in b.ask("select 'b'")[-2][1]
