"""A raw Postgres client: frontend messages as bytes, backend messages as (type, body), nothing hidden.

    c = Connection.open(url)            # SCRAM login, waits for the first ReadyForQuery
    c.send(parse("", "select $1::int"), bind("", "", [b"1"]), execute(), SYNC)
    for kind, body in c.until_ready(): ...

Made for tests that must say exactly which message goes out when (shared/drivers.md shapes), and for hostile ones.
"""

import base64
import collections
import hashlib
import hmac
import os
import select
import socket
import struct
import urllib.parse

from .ports import PATIENCE

SYNC, FLUSH, TERMINATE = b"S\0\0\0\4", b"H\0\0\0\4", b"X\0\0\0\4"
COPY_DONE = b"c\0\0\0\4"


def message(kind: bytes, body: bytes = b"") -> bytes:
    return kind + struct.pack("!I", len(body) + 4) + body


def text(value: str | bytes) -> bytes:
    return (value.encode() if isinstance(value, str) else value) + b"\0"


def query(sql: str) -> bytes:
    return message(b"Q", text(sql))


def parse(name: str, sql: str, types: tuple = ()) -> bytes:
    return message(b"P", text(name) + text(sql) + struct.pack("!H", len(types)) + b"".join(struct.pack("!I", t) for t in types))


def bind(portal: str, statement: str, values: list = (), formats: tuple = (), results: tuple = ()) -> bytes:
    body = text(portal) + text(statement) + struct.pack("!H", len(formats)) + b"".join(struct.pack("!H", f) for f in formats)
    body += struct.pack("!H", len(values))
    for value in values:
        if value is None:
            body += struct.pack("!i", -1)
        else:
            raw = value if isinstance(value, bytes) else str(value).encode()
            body += struct.pack("!i", len(raw)) + raw
    return message(b"B", body + struct.pack("!H", len(results)) + b"".join(struct.pack("!H", f) for f in results))


def describe(what: str, name: str = "") -> bytes:
    return message(b"D", what.encode() + text(name))


def close(what: str, name: str = "") -> bytes:
    return message(b"C", what.encode() + text(name))


def execute(portal: str = "", rows: int = 0) -> bytes:
    return message(b"E", text(portal) + struct.pack("!I", rows))


def copy_data(data: bytes) -> bytes:
    return message(b"d", data)


def copy_fail(why: str) -> bytes:
    return message(b"f", text(why))


def function_call(oid: int, arguments: list, formats: tuple = (), result: int = 0) -> bytes:
    body = struct.pack("!IH", oid, len(formats)) + b"".join(struct.pack("!H", f) for f in formats)
    body += struct.pack("!H", len(arguments)) + b"".join(struct.pack("!i", len(a)) + a for a in arguments)
    return message(b"F", body + struct.pack("!H", result))


def startup(parameters: dict, version: int = 196608) -> bytes:
    body = struct.pack("!I", version) + b"".join(text(k) + text(v) for k, v in parameters.items()) + b"\0"
    return struct.pack("!I", len(body) + 4) + body


def error_fields(body: bytes) -> dict:
    """{'S': 'ERROR', 'C': '42P01', 'M': …} of an ErrorResponse or NoticeResponse."""
    return {chr(f[0]): f[1:].decode("utf-8", "replace") for f in body.split(b"\0") if f}


def data_row(body: bytes) -> list:
    (count,), at, values = struct.unpack_from("!H", body), 2, []
    for _ in range(count):
        (size,) = struct.unpack_from("!i", body, at)
        at += 4
        values.append(None if size < 0 else body[at:at + size])
        at += max(size, 0)
    return values


class Closed(Exception):
    """The server ended the connection."""


class Connection:
    def __init__(self, host: str, port: int, timeout: float = 30 * PATIENCE):
        self.socket = socket.create_connection((host, port), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""   # of a message that is not whole yet
        self.complete: collections.deque[tuple[str, bytes]] = collections.deque()
        self.parameters: dict[str, str] = {}
        self.pid, self.key = 0, b""
        self.address = (host, port)

    @classmethod
    def open(cls, url: str, timeout: float = 30 * PATIENCE, version: int = 196608, **parameters) -> "Connection":
        parts = urllib.parse.urlsplit(url)
        connection = cls(parts.hostname, parts.port, timeout)
        connection.login(urllib.parse.unquote(parts.username), urllib.parse.unquote(parts.password or ""),
                         parts.path.lstrip("/"), version, **parameters)
        return connection

    # --- bytes -----------------------------------------------------------------------------------
    def send(self, *messages: bytes):
        self.socket.sendall(b"".join(messages))

    def receive(self) -> tuple[str, bytes]:
        """The next message, whatever it is."""
        while not self.complete:
            self.fill()
        kind, body = self.complete.popleft()
        if kind == "S":
            name, value = body[:-1].split(b"\0", 1)
            self.parameters[name.decode()] = value.decode()
        return kind, body

    def fill(self):
        """Waits for bytes and takes the messages apart that are whole: one by one would copy the rest each time."""
        more = self.socket.recv(1 << 16)
        if not more:
            raise Closed(f"closed with {self.buffer[:80]!r} unread")
        buffer, at = self.buffer + more, 0
        while len(buffer) - at >= 5:
            end = at + 1 + struct.unpack_from("!I", buffer, at + 1)[0]
            if end > len(buffer):
                break
            self.complete.append((chr(buffer[at]), buffer[at + 5:end]))
            at = end
        self.buffer = buffer[at:]

    def until(self, *kinds: str) -> list[tuple[str, bytes]]:
        """All messages up to and with the first of one of these kinds."""
        seen = []
        while not seen or seen[-1][0] not in kinds:
            seen.append(self.receive())
        return seen

    def until_ready(self) -> list[tuple[str, bytes]]:
        return self.until("Z")

    def silent(self, seconds: float = 0.2) -> bool:
        """Nothing arrives within this time."""
        return not self.complete and not self.buffer and not select.select([self.socket], [], [], seconds)[0]

    # --- conversations ------------------------------------------------------------------------------
    def login(self, user: str, password: str, database: str, version: int = 196608, **parameters):
        self.send(startup({"user": user, "database": database, **parameters}, version))
        nonce = base64.b64encode(os.urandom(18)).decode()
        while True:
            kind, body = self.receive()
            if kind == "E":
                raise Refused(error_fields(body))
            if kind == "K":
                self.pid, self.key = struct.unpack_from("!I", body)[0], body[4:]
            if kind == "Z":
                return
            if kind != "R":
                continue
            (what,) = struct.unpack_from("!I", body)
            if what == 10:
                first = f"n=,r={nonce}"
                data = ("n,," + first).encode()
                self.send(message(b"p", text("SCRAM-SHA-256") + struct.pack("!I", len(data)) + data))
            elif what == 11:
                server_first = body[4:].decode()
                fields = dict(part.split("=", 1) for part in server_first.split(","))
                salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(fields["s"]), int(fields["i"]))
                client_key = hmac.digest(salted, b"Client Key", "sha256")
                without_proof = f"c=biws,r={fields['r']}"
                signed = f"{first},{server_first},{without_proof}".encode()
                signature = hmac.digest(hashlib.sha256(client_key).digest(), signed, "sha256")
                proof = bytes(a ^ b for a, b in zip(client_key, signature))
                self.send(message(b"p", f"{without_proof},p={base64.b64encode(proof).decode()}".encode()))
            elif what == 3:
                self.send(message(b"p", text(password)))

    def query(self, sql: str) -> list[list]:
        """Rows of a simple query's last result as lists of bytes; raises Refused on an error."""
        self.send(query(sql))
        rows, failed = [], None
        for kind, body in self.until_ready():
            if kind == "T":
                rows = []
            elif kind == "D":
                rows.append(data_row(body))
            elif kind == "E":
                failed = Refused(error_fields(body))
        if failed:
            raise failed
        return rows

    def value(self, sql: str) -> str | None:
        raw = self.query(sql)[0][0]
        return None if raw is None else raw.decode()

    def cancel(self):
        """Sends a CancelRequest for this connection over one of its own."""
        with socket.create_connection(self.address, timeout=10 * PATIENCE) as s:
            s.sendall(struct.pack("!III", 12 + len(self.key), 80877102, self.pid) + self.key)
            s.recv(1)

    def close(self):
        try:
            self.send(TERMINATE)
        except OSError:
            pass
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


class Refused(Exception):
    """An ErrorResponse; `.fields` has its parts, `.code` the SQLSTATE."""

    def __init__(self, fields: dict):
        super().__init__(f"{fields.get('C')}: {fields.get('M')}")
        self.fields, self.code = fields, fields.get("C")
