"""What MySQL 8 does differently on the wire, played by a few lines of Python: no package here carries the server itself.

Greets as 8.0.36 with caching_sha2_password as its method, checks passwords on the fast path and on the full one
(inside TLS, or under an RSA key), sets CLIENT_MYSQL so that MariaDB's extensions must not be used, and answers
`SELECT 1` in both forms of the end of rows.
"""

import hashlib
import os
import socket
import ssl
import subprocess
import threading

from .tls import Authority

SSL, DEPRECATE_EOF, PLUGIN_LENENC, LONG_PASSWORD = 1 << 11, 1 << 24, 1 << 21, 1
CAPABILITIES = 0xDFFFFFFF & ~(1 << 5 | 1 << 26)  # all but compression
SCRAMBLE = bytes(range(33, 53))


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def fast_answer(password: bytes, scramble: bytes) -> bytes:
    once = sha256(password)
    return bytes(a ^ b for a, b in zip(once, sha256(sha256(once) + scramble)))


class MySQL8:
    """`cached`: the fast path works; else the server wants the whole password. `logins` counts by way."""

    def __init__(self, password: str, cached: bool = True, authority: Authority | None = None,
                 plugin: bytes = b"caching_sha2_password", switch: tuple[bytes, bytes] | None = None):
        self.password, self.cached, self.plugin, self.switch = password.encode(), cached, plugin, switch
        self.tls = None
        if authority:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(authority.path("server.pem"), authority.path("server.key"))
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.seen: list[tuple[str, object]] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket):
        try:
            _Conversation(self, client).run()
        except (OSError, EOFError):
            pass
        finally:
            client.close()


class _Conversation:
    def __init__(self, server: MySQL8, client: socket.socket):
        self.server, self.client, self.sequence = server, client, 0

    def send(self, payload: bytes):
        self.client.sendall(len(payload).to_bytes(3, "little") + bytes([self.sequence]) + payload)
        self.sequence = (self.sequence + 1) % 256

    def exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = self.client.recv(size - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def receive(self) -> bytes:
        header = self.exactly(4)
        self.sequence = (header[3] + 1) % 256
        return self.exactly(int.from_bytes(header[:3], "little"))

    def ok(self, first: int = 0):
        self.send(bytes([first, 0, 0, 2, 0, 0, 0]))

    def error(self, code: int, state: bytes, words: bytes):
        self.send(b"\xff" + code.to_bytes(2, "little") + b"#" + state + words)

    def greet(self):
        capabilities = CAPABILITIES & ~(0 if self.server.tls else SSL)
        self.send(b"\x0a8.0.36\0" + (77).to_bytes(4, "little") + SCRAMBLE[:8] + b"\0"
                  + (capabilities & 0xFFFF).to_bytes(2, "little") + b"\xff" + b"\x02\x00"
                  + (capabilities >> 16).to_bytes(2, "little") + b"\x15" + bytes(10) + SCRAMBLE[8:] + b"\0"
                  + self.server.plugin + b"\0")

    def run(self):
        self.greet()
        response = self.receive()
        if len(response) == 32:
            self.server.seen.append(("ssl_request", None))
            self.client = self.server.tls.wrap_socket(self.client, server_side=True)
            response = self.receive()
        self.capabilities = int.from_bytes(response[:4], "little")
        self.server.seen.append(("capabilities", self.capabilities))
        self.server.seen.append(("extended", response[28:32]))
        rest = response[32:]
        rest = rest[rest.index(b"\0") + 1:]
        answer, rest = rest[1:1 + rest[0]], rest[1 + rest[0]:]
        if self.authenticate(answer):
            self.commands()

    def authenticate(self, answer: bytes) -> bool:
        if self.server.switch:
            plugin, data = self.server.switch
            self.send(b"\xfe" + plugin + b"\0" + data)
            answer = self.receive()
            self.server.seen.append(("switched", answer))
            if plugin != b"caching_sha2_password":
                return self.finish(answer == self.server.password + b"\0")
        if self.server.cached:
            right = answer == fast_answer(self.server.password, SCRAMBLE)
            if right:
                self.send(b"\x01\x03")
            return self.finish(right)
        self.send(b"\x01\x04")
        answer = self.receive()
        if answer == b"\x02":
            self.server.seen.append(("key_asked", None))
            answer = self.under_rsa()
        else:
            self.server.seen.append(("whole", answer))
        return self.finish(answer == self.server.password + b"\0")

    def under_rsa(self) -> bytes:
        key = subprocess.run(["openssl", "genrsa", "2048"], check=True, capture_output=True).stdout
        public = subprocess.run(["openssl", "rsa", "-pubout"], input=key, check=True, capture_output=True).stdout
        self.send(b"\x01" + public)
        cipher = self.receive()
        read, write = os.pipe()
        os.write(write, key)
        os.close(write)
        plain = subprocess.run(["openssl", "pkeyutl", "-decrypt", "-inkey", f"/dev/fd/{read}",
                                "-pkeyopt", "rsa_padding_mode:oaep"], input=cipher, capture_output=True,
                               pass_fds=[read]).stdout
        os.close(read)
        return bytes(byte ^ SCRAMBLE[i % 20] for i, byte in enumerate(plain))

    def finish(self, right: bool) -> bool:
        if right:
            self.ok()
        else:
            self.error(1045, b"28000", b"Access denied for user 'app'@'localhost' (using password: YES)")
        return right

    def commands(self):
        while True:
            command = self.receive()
            if command[:1] == b"\x01":
                return
            if command == b"\x03SELECT 1":
                self.select_one()
            else:
                self.error(1064, b"42000", b"You have an error in your SQL syntax")

    def select_one(self):
        old = not self.capabilities & DEPRECATE_EOF
        self.send(b"\x01")
        self.send(b"\x03def\0\0\0\x011\0\x0c\x3f\0\x02\0\0\0\x08\x81\0\0\0\0")
        if old:
            self.send(b"\xfe\0\0\x02\0")
        self.send(b"\x011")
        if old:
            self.send(b"\xfe\0\0\x02\0")
        else:
            self.ok(0xFE)
