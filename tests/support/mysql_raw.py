"""A MySQL client whose replies are the raw packets, numbers and all: what a cache must give back byte for byte."""

import socket
import struct

from .mywire import ANSWERS, native_answer
from .ports import PATIENCE

FOUND_ROWS, CONNECT_WITH_DB, PROTOCOL_41, SECURE, PLUGIN_AUTH = 2, 8, 0x200, 0x8000, 1 << 19
MULTI, SESSION_TRACK, DEPRECATE_EOF = 3 << 16, 1 << 23, 1 << 24
USUAL = 0x2085 | CONNECT_WITH_DB | PROTOCOL_41 | SECURE | PLUGIN_AUTH | MULTI | DEPRECATE_EOF


class Raw:
    native = staticmethod(native_answer)

    def __init__(self, where, capabilities: int = USUAL, charset: int = 45, database: str | None = None):
        login = where.login()
        self.capabilities = capabilities
        self.socket = socket.create_connection((login["host"], login["port"]), timeout=30 * PATIENCE)
        self.buffer = b""
        greeting = self.packet()[1]
        end = greeting.index(b"\0", 1)
        rest = greeting[end + 5:]
        scramble = rest[:8] + rest[8 + 1 + 2 + 1 + 2 + 2 + 1 + 10:][:12]
        plugin = rest[8 + 1 + 2 + 1 + 2 + 2 + 1 + 10 + 13:].partition(b"\0")[0]
        answer = ANSWERS[plugin](login["password"].encode(), scramble)
        name = database or login["database"]
        self.socket.sendall(self.framed(
            struct.pack("<IIB23x", capabilities, 1 << 24, charset) + login["user"].encode() + b"\0"
            + bytes([len(answer)]) + answer + name.encode() + b"\0" + plugin + b"\0", 1))
        sequence, payload = self.packet()
        if payload[:1] == b"\xfe":
            plugin, _, scramble = payload[1:].partition(b"\0")
            self.socket.sendall(self.framed(ANSWERS[plugin](login["password"].encode(), scramble[:20]), sequence + 1))
            sequence, payload = self.packet()
        if payload == b"\x01\x03":   # caching_sha2_password knows the password
            sequence, payload = self.packet()
        assert payload[:1] == b"\0", payload

    @staticmethod
    def framed(payload: bytes, sequence: int = 0) -> bytes:
        return len(payload).to_bytes(3, "little") + bytes([sequence]) + payload

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def packet(self) -> tuple[int, bytes]:
        while len(self.buffer) < 4 or len(self.buffer) < 4 + int.from_bytes(self.buffer[:3], "little"):
            more = self.socket.recv(65536)
            if not more:
                raise ConnectionError("closed")
            self.buffer += more
        size = int.from_bytes(self.buffer[:3], "little")
        sequence, payload = self.buffer[3], self.buffer[4:4 + size]
        self.buffer = self.buffer[4 + size:]
        return sequence, payload

    def result(self) -> list[tuple[int, bytes]]:
        """One result, up to its last packet."""
        packets = [self.packet()]
        if packets[0][1][0] in (0, 0xFF):
            return packets
        ends = 0 if self.capabilities & DEPRECATE_EOF else 1
        while True:
            packets.append(self.packet())
            payload = packets[-1][1]
            if payload[:1] == b"\xff":
                return packets
            if payload[:1] == b"\xfe" and len(payload) < 0xFFFFFF and (len(payload) < 9 or not ends) \
                    and len(packets) > packets[0][1][0] + 1:
                if ends == 0:
                    return packets
                ends -= 1

    def ask(self, sql: str | bytes) -> list[tuple[int, bytes]]:
        self.socket.sendall(self.framed(b"\x03" + (sql.encode() if isinstance(sql, str) else sql)))
        return self.result()

    def prepare(self, sql: str | bytes) -> int:
        self.socket.sendall(self.framed(b"\x16" + (sql.encode() if isinstance(sql, str) else sql)))
        payload = self.packet()[1]
        assert payload[0] == 0, payload
        number, columns, parameters = struct.unpack_from("<IHH", payload, 1)
        for count in (parameters, columns):
            for _ in range(count + (1 if count and not self.capabilities & DEPRECATE_EOF else 0)):
                self.packet()
        return number

    def execute(self, statement: int, *numbers: int, bound: bool = True, as_double: bool = False) -> list[tuple[int, bytes]]:
        payload = b"\x17" + struct.pack("<IBI", statement, 0, 1)
        if numbers:
            payload += b"\0" * ((len(numbers) + 7) // 8) + bytes([bound])
            payload += (b"\x05\0" if as_double else b"\x08\0") * len(numbers) if bound else b""
            payload += b"".join(struct.pack("<d" if as_double else "<q", n) for n in numbers)
        self.socket.sendall(self.framed(payload))
        return self.result()
