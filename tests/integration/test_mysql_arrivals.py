"""What a MySQL client may send before it has read anything, and what may arrive in the same moment as something else: nothing
waits for ever, nothing is lost, nothing is answered twice."""

import contextlib
import os
import signal
import socket
import ssl
import struct
import time

import pytest
from support import mywire
from support.arrivals import Arrivals
from support.chaos import ChaosRelay
from support.mariadb import MariaDB
from support.mywire import Wire, execute, parameter, query
from support.ports import wait_for
from support.proxy import Proxy
from support.tls import Authority

SSL = 1 << 11


@pytest.fixture(scope="module")
def db():
    with MariaDB({"max_allowed_packet": "2M"}) as db:
        db.sql("create table t (id int auto_increment primary key, v mediumtext, w varchar(20))")
        yield db


@pytest.fixture(scope="module")
def proxy(db):
    with Proxy(db, local={"workers": 1}, origin_connection_limit=1) as p:
        yield p


def session(where, capabilities=0, **more):
    return Wire(where.port, where.user, where.password, "shop", mywire.USUAL | capabilities, **more)


def prepare(wire, *texts):
    for sql in texts:
        wire.send(bytes([mywire.PREPARE]) + sql.encode())
        wire.reply("prepare", sent=b"x")


def long_data(wire, which, data=b"long"):
    return bytes([mywire.LONG_DATA]) + struct.pack("<IH", wire.statements[which], 0) + data


def heard(wire, until=None):
    """Packets up to the end of the connection, or to these bytes: number and first bytes."""
    data = wire.buffer
    with contextlib.suppress(ConnectionError):
        while (until is None or until not in data) and (more := wire.socket.recv(1 << 20)):
            data += more
    packets = []
    while data:
        size = int.from_bytes(data[:3], "little")
        packets.append((data[3], data[4:4 + size][:60]))
        data = data[4 + size:]
    return packets


@pytest.mark.parametrize("cut", [0, 1, 30, 36, 50])
def test_the_hello_of_tls_may_arrive_with_the_request_for_it(db, cut):
    """Nothing answers an SSLRequest, so clients send both at once."""
    authority = Authority()
    try:
        cert, key = authority.issue("s", "localhost", "DNS:localhost,IP:127.0.0.1")
        context = ssl.create_default_context(cafile=authority.path("ca.pem"))
        into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
        with Proxy(db, local={"tls_cert": cert, "tls_key": key}) as p, socket.create_connection(("127.0.0.1", p.port), 20) as s:
            while len(s.recv(65536)) < 20:
                pass
            tls = context.wrap_bio(into, out, server_hostname="localhost")
            with contextlib.suppress(ssl.SSLWantReadError):
                tls.do_handshake()
            request = b"\x20\0\0\1" + struct.pack("<IIB23x", mywire.USUAL | SSL, 1 << 30, 45)
            both = request + out.read()
            os.kill(p.process.pid, signal.SIGSTOP)   # it reads the pieces in one turn
            s.sendall(both[:cut]), time.sleep(0.01), s.sendall(both[cut:])
            os.kill(p.process.pid, signal.SIGCONT)
            while True:
                try:
                    tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    s.sendall(out.read())
                    into.write(s.recv(65536))
            assert tls.version() == "TLSv1.3"
            plain = b"\x20\0\0\1" + struct.pack("<IIB23x", mywire.USUAL | SSL, 1 << 30, 45)
            with socket.create_connection(("127.0.0.1", p.port), 20) as stranger:
                stranger.sendall(plain + Wire.framed(query("select 1")))
                stranger.settimeout(20)
                said = b""
                with contextlib.suppress(ConnectionError):
                    while more := stranger.recv(65536):
                        said += more
                assert b"\x01\x00\x00\x01\x01" not in said
    finally:
        authority.remove()


class Hasty(Wire):
    """Its last packet of a login comes with a command. `switched`: as the answer to a request for another method."""
    switched = False

    def write(self, payload):
        if self.switched and len(payload) > 32:
            return super().write(payload)
        packet = self.framed(payload, self.sequence)
        self.sequence += 1
        self.socket.sendall(packet + self.framed(query("select 42")))


class HastySwitched(Hasty):
    switched = True


@pytest.mark.parametrize("kind, method", [(Hasty, b"mysql_native_password"), (HastySwitched, b"caching_sha2_password")])
def test_a_first_command_may_come_with_the_login(db, proxy, kind, method):
    if kind is HastySwitched:
        with kind(proxy.port, proxy.user, proxy.password, "shop", plugin=method, timeout=20) as wire:
            assert ("row", b"\x0242") in wire.reply("query", sent=b"x")
        return
    for where in (db, proxy):
        with kind(where.port, where.user, where.password, "shop", plugin=method, timeout=20) as wire:
            assert ("row", b"\x0242") in wire.reply("query", sent=b"x")


def test_a_command_behind_another_login_is_not_lost(proxy):
    """COM_CHANGE_USER is answered by a request for the password, and the answer to that comes with a command."""
    with session(proxy) as wire:
        wire.send = lambda payload: wire.socket.sendall(wire.framed(payload))
        before = wire.write
        wire.write = lambda payload: (before(payload), wire.socket.sendall(wire.framed(query("select 43"))))
        wire.change_user()
        assert ("row", b"\x0243") in wire.reply("query", sent=b"x")


@pytest.mark.parametrize("loop", ["io_uring", "epoll"])
def test_commands_that_came_before_the_client_has_ended_its_side_are_run(db, loop):
    """… also where the end comes in the same moment as the answer that they wait for."""
    def runs():
        return db.sql("select count(*) from information_schema.processlist where info like 'update held%'") == "1\n"
    db.sql("create or replace table held (x int); insert into held values (1)")
    with Proxy(db, local={"workers": 1}, env={"HYPERDRIVE_LOOP": loop}) as p, session(db) as holder:
        for ends_first in (False, True):
            db.sql("truncate table t")
            with session(p) as wire:
                holder.ask("begin"), holder.ask("update held set x = 2")
                wire.send(query("update held set x = 3"), query("insert into t (w) values ('in')"), query("select 'last'"))
                wait_for(runs, 20, "it runs")
                os.kill(p.process.pid, signal.SIGSTOP)
                if ends_first:
                    wire.socket.shutdown(socket.SHUT_WR)
                holder.ask("rollback")
                wait_for(lambda: not runs(), 20, "it has run")
                if not ends_first:
                    wire.socket.shutdown(socket.SHUT_WR)
                time.sleep(0.02)
                os.kill(p.process.pid, signal.SIGCONT)
                assert (4, b"\x04last") in heard(wire)[-3:]
            assert db.sql("select w from t").strip() == "in"


class Slow(Wire):
    """Its socket takes little, so that what it does not read stays with the proxy."""

    def __init__(self, *of, **more):
        create = socket.create_connection
        try:
            socket.create_connection = self.connect
            super().__init__(*of, **more)
        finally:
            socket.create_connection = create

    @staticmethod
    def connect(address, timeout):
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
        s.settimeout(timeout)
        s.connect(address)
        return s


def test_a_connection_may_log_in_anew_while_the_client_still_reads(db):
    """A long answer from the cache, then a command that needs a connection of another kind."""
    db.sql("create or replace table wide (id int primary key, v mediumtext); insert into wide select seq, repeat('x', 60000) from seq_1_to_100")
    with ChaosRelay(db.port) as far, \
            Proxy(db, port=far.port, local={"workers": 1}, caching={"disabled": False}, origin_connection_limit=2) as p:
        p.wait_known()
        with session(p) as other, Slow(p.port, p.user, p.password, "shop", mywire.USUAL | mywire.FOUND_ROWS) as slow:
            for rows in range(1, 100, 2):
                far.delay = 0
                sql = f"select * from wide where id <= {rows}"
                slow.ask(sql)
                other.ask("select sleep(0)")   # the connection is of its kind from here on
                far.delay = 0.05
                slow.send(query(sql)), time.sleep(0.01), slow.send(query("select sleep(0.0)"))
                time.sleep(0.01)
                for _ in range(2):
                    assert slow.reply("query", sent=b"x")[-1][0] != "err"


@pytest.mark.parametrize("size", [3_000_000, 40_000_000])
@pytest.mark.parametrize("what", ["query", "execution", "long data"])
def test_a_packet_that_the_origin_refuses_is_answered_once(db, proxy, what, size):
    told = []
    for where in (db, proxy):
        with session(where) as wire:
            prepare(wire, "insert into t (v, w) values (?, ?)")
            (types, values) = zip(parameter(b"x" * size), parameter(b"k"))
            with contextlib.suppress(ConnectionError):
                if what == "query":
                    wire.send(query("select '" + "x" * size + "'"))
                elif what == "execution":
                    wire.send(execute(wire.statements[0], list(values), list(types)))
                else:
                    wire.send(long_data(wire, 0, b"x" * size))
                wire.send(query("select 'on'"))   # who has got an error may go on
            told.append([packet for _, packet in heard(wire, until=b"\x02on")])
    too_large = b"\xff\x81\x04#08S01Got a packet bigger than 'max_allowed_packet' bytes"
    assert told[0] in ([too_large], [])   # a reset may have taken the server's own words
    assert told[1][0] == too_large and not any(packet[:1] == b"\xff" for packet in told[1][1:])


def test_long_data_that_found_no_connection_fails_its_own_execution_and_no_other_command(db):
    with Proxy(db, local={"workers": 1, "wait_timeout": "1s"}, origin_connection_limit=1) as p, session(p) as holder, session(p) as wire:
        prepare(wire, "insert into t (v, w) values (?, ?)", "select ?", "select 1")

        def run(which, *given):
            types, values = zip(*map(parameter, given))
            wire.send(execute(wire.statements[which], [b"" if value == b"" else value for value in values], list(types)))
            return wire.reply("query", sent=b"x")
        holder.ask("begin"), holder.ask("insert into t (w) values ('held')")
        wire.send(long_data(wire, 0), long_data(wire, 0), bytes([mywire.CLOSE]) + struct.pack("<I", wire.statements[2]))
        wait_for(lambda: p.stats()["wait_timeouts"] == 1, 20, "the wait is over")
        holder.ask("rollback")
        assert ("row", b"\x011") in wire.ask("select 1")
        assert ("row", b"\0\0\1x") in run(1, b"x")
        db.sql("truncate table t")
        assert run(0, b"", b"k")[0][:2] == ("err", 1040)
        assert db.sql("select count(*) from t") == "0\n"
        assert run(0, b"short", b"k")[0][0] == "ok"
        wire.send(long_data(wire, 0))
        types, values = zip(parameter(b""), parameter(b"k"))
        wire.send(execute(wire.statements[0], [b"", values[1]], list(types)))
        assert wire.reply("query", sent=b"x")[0][0] == "ok"
        assert db.sql("select v, w from t order by id") == "short\tk\nlong\tk\n"


def test_bytes_that_arrive_in_pieces_and_late_are_the_same_bytes(db):
    with Arrivals(db.port) as far, Proxy(db, port=far.port, origin_connection_limit=1) as p, Arrivals(p.port) as near:
        for seed in range(6):
            far.deal(seed), near.deal(seed)
            with Wire(near.port, p.user, p.password, "shop") as wire:
                texts = ["select 1", "do 1", "select repeat('y', 5000)", "selec", "begin", "select 2", "rollback", "select row_count()"]
                wire.send(*map(query, texts))
                kinds = [wire.reply("query", sent=b"x")[0][0] for _ in texts]
                assert kinds == ["columns", "ok", "columns", "err", "ok", "columns", "ok", "columns"]
