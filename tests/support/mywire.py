"""The MySQL protocol by hand, for tests that must see every packet: login, commands, and replies as plain tuples.

    with Wire(port, "app", "app-secret", "shop") as c:
        c.send(query("select 1")); c.reply("query")

A reply is a list of tuples in the order of its packets: ("ok", …), ("err", code, state, words), ("column", …),
("row", bytes), ("eof", …), ("infile", name), ("prepared", columns, parameters, warnings). Statement ids are kept
in `statements`, in the order in which they were prepared, and are no part of a reply.
"""

import hashlib
import socket
import struct

LONG_PASSWORD, FOUND_ROWS, LONG_FLAG, CONNECT_WITH_DB, LOCAL_FILES, IGNORE_SPACE = 1, 2, 4, 8, 1 << 7, 1 << 8
PROTOCOL_41, SSL, TRANSACTIONS, SECURE, MULTI_STATEMENTS, MULTI_RESULTS = 1 << 9, 1 << 11, 1 << 13, 1 << 15, 1 << 16, 1 << 17
PS_MULTI_RESULTS, PLUGIN_AUTH, CONNECT_ATTRS, PLUGIN_LENENC = 1 << 18, 1 << 19, 1 << 20, 1 << 21
SESSION_TRACK, DEPRECATE_EOF = 1 << 23, 1 << 24
USUAL = (LONG_PASSWORD | LONG_FLAG | CONNECT_WITH_DB | PROTOCOL_41 | TRANSACTIONS | SECURE | MULTI_RESULTS
         | PS_MULTI_RESULTS | PLUGIN_AUTH | PLUGIN_LENENC)
MORE_RESULTS, CURSOR_EXISTS = 0x0008, 0x0040
MAX = 0xFFFFFF

(QUIT, INIT_DB, QUERY, FIELD_LIST, STATISTICS, PROCESS_KILL, PING, CHANGE_USER) = (1, 2, 3, 4, 9, 12, 14, 0x11)
(PREPARE, EXECUTE, LONG_DATA, CLOSE, RESET, SET_OPTION, FETCH, RESET_CONNECTION, BULK) = (
    0x16, 0x17, 0x18, 0x19, 0x1A, 0x1B, 0x1C, 0x1F, 0xFA)


def query(sql: str | bytes) -> bytes:
    return bytes([QUERY]) + (sql.encode() if isinstance(sql, str) else sql)


def lenenc(value: int) -> bytes:
    if value < 251:
        return bytes([value])
    if value < 1 << 16:
        return b"\xfc" + value.to_bytes(2, "little")
    if value < 1 << 24:
        return b"\xfd" + value.to_bytes(3, "little")
    return b"\xfe" + value.to_bytes(8, "little")


def lenenc_string(value: bytes) -> bytes:
    return lenenc(len(value)) + value


class Reader:
    def __init__(self, data: bytes):
        self.data, self.at = data, 0

    def take(self, size: int) -> bytes:
        piece = self.data[self.at:self.at + size]
        assert len(piece) == size, f"a packet that is too short: {self.data[:60]!r}"
        self.at += size
        return piece

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little")

    def lenenc(self) -> int:
        first = self.number(1)
        return first if first < 251 else self.number({0xFC: 2, 0xFD: 3, 0xFE: 8}[first])

    def string(self) -> bytes:
        return self.take(self.lenenc())

    def rest(self) -> bytes:
        return self.take(len(self.data) - self.at)

    def left(self) -> int:
        return len(self.data) - self.at


def native_answer(password: bytes, scramble: bytes) -> bytes:
    if not password:
        return b""
    once = hashlib.sha1(password).digest()
    mask = hashlib.sha1(scramble + hashlib.sha1(once).digest()).digest()
    return bytes(a ^ b for a, b in zip(once, mask))


def sha2_answer(password: bytes, scramble: bytes) -> bytes:
    once = hashlib.sha256(password).digest()
    mask = hashlib.sha256(hashlib.sha256(once).digest() + scramble).digest()
    return bytes(a ^ b for a, b in zip(once, mask))


ANSWERS = {b"mysql_native_password": native_answer, b"caching_sha2_password": sha2_answer}


class Refused(Exception):
    """The login, or a change of user, was answered by an error."""


class Wire:
    def __init__(self, port: int, user: str, password: str, database: str = "", capabilities: int = USUAL,
                 charset: int = 45, plugin: bytes = b"mysql_native_password", extended: int = 0, timeout: float = 30,
                 attributes: dict | None = None):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.statements: list[int] = []
        self.user, self.password, self.database, self.plugin, self.charset = user, password, database, plugin, charset
        self.wanted, self.extended, self.attributes = capabilities, extended, attributes
        self.sequence = 0
        self.login()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    # --- packets ---------------------------------------------------------------------------------
    def packet(self) -> bytes:
        """The next payload, put together if it came in several packets."""
        payload = b""
        while True:
            header = self._exactly(4)
            size = int.from_bytes(header[:3], "little")
            assert header[3] == self.sequence, f"sequence number {header[3]} where {self.sequence} is due"
            self.sequence = (self.sequence + 1) % 256
            payload += self._exactly(size)
            if size < MAX:
                return payload

    def _exactly(self, size: int) -> bytes:
        while len(self.buffer) < size:
            data = self.socket.recv(1 << 20)
            if not data:
                raise EOFError("the connection was closed")
            self.buffer += data
        piece, self.buffer = self.buffer[:size], self.buffer[size:]
        return piece

    @staticmethod
    def framed(payload: bytes, sequence: int = 0) -> bytes:
        out = b""
        while True:
            piece, payload = payload[:MAX], payload[MAX:]
            out += len(piece).to_bytes(3, "little") + bytes([sequence % 256]) + piece
            sequence += 1
            if len(piece) < MAX:
                return out

    def write(self, payload: bytes):
        """Goes on in the present exchange (logins, LOCAL INFILE)."""
        out = self.framed(payload, self.sequence)
        self.sequence = (self.sequence + payload.__len__() // MAX + 1) % 256
        self.socket.sendall(out)

    def send(self, *payloads: bytes):
        """Commands, in one write."""
        self.socket.sendall(b"".join(self.framed(payload) for payload in payloads))

    def expect(self, payload: bytes):
        """The reply to a command of this payload begins."""
        self.sequence = (len(payload) // MAX + 1) % 256

    # --- login -----------------------------------------------------------------------------------
    def login(self):
        reader = Reader(self.packet())
        if reader.data[0] == 0xFF:
            raise Refused(self.error(reader.data))
        reader.take(1)
        self.version = reader.take(reader.data.index(b"\0", 1) - 1).decode()
        reader.take(1)
        self.connection_id = reader.number(4)
        self.scramble = reader.take(8)
        reader.take(1)
        low = reader.number(2)
        self.server_charset, self.server_status = reader.number(1), reader.number(2)
        self.server_capabilities = low | reader.number(2) << 16
        reader.take(7)
        self.server_extended = reader.number(4)
        self.scramble += reader.take(12)
        self.capabilities = self.wanted & (self.server_capabilities | LONG_PASSWORD)
        if self.extended:
            self.capabilities &= ~LONG_PASSWORD
        if not self.database:
            self.capabilities &= ~CONNECT_WITH_DB
        self.write(self.response())
        self.login_ok = self.authenticate()

    def response(self) -> bytes:
        extended = self.extended & self.server_extended
        self.extended_agreed = extended
        payload = (struct.pack("<IIB", self.capabilities, 1 << 30, self.charset) + bytes(19) + struct.pack("<I", extended)
                   + self.user.encode() + b"\0")
        answer = ANSWERS[self.plugin](self.password.encode(), self.scramble)
        payload += lenenc_string(answer)
        if self.capabilities & CONNECT_WITH_DB:
            payload += self.database.encode() + b"\0"
        if self.capabilities & PLUGIN_AUTH:
            payload += self.plugin + b"\0"
        if self.capabilities & CONNECT_ATTRS:
            attributes = b"".join(lenenc_string(k.encode()) + lenenc_string(v.encode())
                                  for k, v in (self.attributes or {}).items())
            payload += lenenc_string(attributes)
        return payload

    def change_user(self, user: str | None = None, password: str | None = None, database: str | None = None,
                    charset: int = 45) -> tuple:
        """COM_CHANGE_USER; its OK, or Refused with its error (the server then closes the connection)."""
        self.user = self.user if user is None else user
        self.password = self.password if password is None else password
        database = self.database if database is None else database
        answer = ANSWERS[self.plugin](self.password.encode(), self.scramble)
        payload = (bytes([CHANGE_USER]) + self.user.encode() + b"\0" + bytes([len(answer)]) + answer
                   + database.encode() + b"\0" + struct.pack("<H", charset) + self.plugin + b"\0")
        self.send(payload)
        self.expect(payload)
        self.statements.clear()
        return self.authenticate()

    def authenticate(self) -> tuple:
        while True:
            payload = self.packet()
            if payload[0] == 0xFF:
                raise Refused(self.error(payload))
            if payload[0] == 0:
                return self.ok(payload)
            if payload[0] == 0xFE:
                plugin, _, data = payload[1:].partition(b"\0")
                self.write(ANSWERS[plugin](self.password.encode(), data[:20]))
            elif payload == b"\x01\x03":
                continue
            else:
                raise Refused(("more", payload))

    # --- replies ---------------------------------------------------------------------------------
    def ok(self, payload: bytes, kind: str = "ok") -> tuple:
        reader = Reader(payload)
        reader.take(1)
        affected, last = reader.lenenc(), reader.lenenc()
        status, warnings = reader.number(2), reader.number(2)
        info, state = b"", b""
        if reader.left():
            info = reader.string()
        if self.capabilities & SESSION_TRACK and status & 0x4000:
            state = reader.string()
        assert not reader.left(), f"bytes behind an OK: {payload!r}"
        return (kind, affected, last, status, warnings, info, state)

    @staticmethod
    def error(payload: bytes) -> tuple:
        code = int.from_bytes(payload[1:3], "little")
        if payload[3:4] == b"#":
            return ("err", code, payload[4:9].decode(), payload[9:].decode(errors="replace"))
        return ("err", code, "", payload[3:].decode(errors="replace"))

    def column(self, payload: bytes) -> tuple:
        reader = Reader(payload)
        names = tuple(reader.string() for _ in range(6))
        metadata = reader.string() if self.extended_agreed & 8 else b""
        return ("column", names, metadata, reader.rest())

    def is_end(self, payload: bytes) -> bool:
        if self.capabilities & DEPRECATE_EOF:
            return payload[0] == 0xFE and len(payload) < MAX
        return payload[0] == 0xFE and len(payload) == 5

    def end(self, payload: bytes) -> tuple:
        if self.capabilities & DEPRECATE_EOF:
            return self.ok(payload, "end")
        return ("eof", int.from_bytes(payload[3:5], "little"), int.from_bytes(payload[1:3], "little"))

    @staticmethod
    def status_of(event: tuple) -> int:
        return {"ok": lambda: event[3], "end": lambda: event[3], "eof": lambda: event[1]}.get(event[0], lambda: 0)()

    def result(self, payload: bytes, infile: bytes | None) -> list[tuple]:
        """One result of a query: up to its OK, error or last row."""
        if payload[0] == 0:
            return [self.ok(payload)]
        if payload[0] == 0xFF:
            return [self.error(payload)]
        if payload[0] == 0xFB:
            events = [("infile", payload[1:])]
            if infile:
                self.write(infile)
            self.write(b"")
            return events + self.result(self.packet(), None)
        reader = Reader(payload)
        count = reader.lenenc()
        metadata = True
        if self.extended_agreed & 16 and reader.left():
            metadata = reader.number(1) == 1
        head = [("columns", count, metadata)] + self.definitions(count if metadata else 0)
        # Where a cursor was opened the EOF of the definitions is the last packet.
        return head if head[-1][0] == "eof" and head[-1][1] & CURSOR_EXISTS else head + self.rows()

    def definitions(self, count: int) -> list[tuple]:
        events = [self.column(self.packet()) for _ in range(count)]
        if count and not self.capabilities & DEPRECATE_EOF:
            events.append(self.end(self.packet()))
        return events

    def rows(self) -> list[tuple]:
        events = []
        while True:
            payload = self.packet()
            if payload[0] == 0xFF:
                return [*events, self.error(payload)]
            if self.is_end(payload):
                return [*events, self.end(payload)]
            events.append(("row", payload))

    def reply(self, kind: str, infile: bytes | None = None, sent: bytes = b"") -> list[tuple]:
        """kind: query, prepare, cursor (an execution that opens one), fetch, fields, text, none, simple."""
        self.expect(sent)
        if kind == "none":
            return []
        payload = self.packet()
        if kind == "prepare" and payload[0] == 0:
            return self.prepared(payload)
        if kind == "text":
            return [("text", payload)] if payload[0] not in (0, 0xFF) else self.result(payload, None)
        if kind == "fetch":
            return self.fetched(payload)
        if kind == "fields":
            return self.field_list(payload)
        if kind in ("simple",):
            return [self.end(payload)] if payload[0] == 0xFE else self.result(payload, None)
        return self.results(payload, infile)

    def results(self, payload: bytes, infile: bytes | None) -> list[tuple]:
        events = []
        while True:
            part = self.result(payload, infile)
            events += part
            if not self.status_of(part[-1]) & MORE_RESULTS:
                return events
            payload = self.packet()

    def prepared(self, payload: bytes) -> list[tuple]:
        reader = Reader(payload)
        reader.take(1)
        self.statements.append(reader.number(4))
        columns, parameters = reader.number(2), reader.number(2)
        reader.take(1)
        warnings = reader.number(2) if reader.left() >= 2 else 0
        return ([("prepared", columns, parameters, warnings)] + self.definitions(parameters)
                + self.definitions(columns))

    def fetched(self, payload: bytes) -> list[tuple]:
        events = []
        while payload[0] != 0xFF and not self.is_end(payload):
            events.append(("row", payload))
            payload = self.packet()
        return [*events, self.error(payload) if payload[0] == 0xFF else self.end(payload)]

    def field_list(self, payload: bytes) -> list[tuple]:
        events = []
        while payload[0] != 0xFF and not self.is_end(payload):
            events.append(("field", payload))
            payload = self.packet()
        return [*events, self.error(payload) if payload[0] == 0xFF else self.end(payload)]

    def ask(self, sql: str) -> list[tuple]:
        self.send(query(sql))
        return self.reply("query", sent=query(sql))

    def values(self, sql: str) -> list[list[bytes | None]]:
        """The rows of a text query, value by value."""
        found = []
        for event in self.ask(sql):
            if event[0] == "row":
                reader, row = Reader(event[1]), []
                while reader.left():
                    if reader.data[reader.at] == 0xFB:
                        reader.take(1)
                        row.append(None)
                    else:
                        row.append(reader.string())
                found.append(row)
            elif event[0] == "err":
                raise Refused(event)
        return found


def execute(statement: int, values: list, types: list[bytes] | None = None, flags: int = 0) -> bytes:
    """`values`: encoded parameters, None for NULL; `types`: two bytes each, or None: as last time."""
    out = bytes([EXECUTE]) + struct.pack("<IBI", statement, flags, 1)
    if not values:
        return out
    bitmap = bytearray((len(values) + 7) // 8)
    for i, value in enumerate(values):
        if value is None:
            bitmap[i // 8] |= 1 << i % 8
    out += bytes(bitmap) + (b"\x01" + b"".join(types) if types is not None else b"\0")
    return out + b"".join(value for value in values if value is not None)


LONGLONG, DOUBLE, VAR_STRING, BLOB = b"\x08\0", b"\x05\0", b"\xfd\0", b"\xfc\0"


def parameter(value) -> tuple[bytes, bytes | None]:
    """Type and encoded value."""
    if value is None:
        return b"\x06\0", None
    if isinstance(value, int):
        return LONGLONG, struct.pack("<q", value)
    if isinstance(value, float):
        return DOUBLE, struct.pack("<d", value)
    if isinstance(value, bytes):
        return BLOB, lenenc_string(value)
    return VAR_STRING, lenenc_string(value.encode())
