"""A hyperdrive-proxy of one's own, started without the CLI: the launch document comes from here.

    with Postgres() as pg, Proxy(pg, origin_connection_limit=2, local={"session_features": "pin"}) as proxy:
        psycopg.connect(proxy.url())
"""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile

from .ports import PATIENCE, free_port, wait_for

BIN = os.environ.get("HYPERDRIVE_BIN") or os.path.abspath(
    os.path.join(os.path.dirname(__file__), "..", "..", "build", "bin"))


class NotReady(AssertionError):
    """The proxy did not start; `.error` is what it said."""

    def __init__(self, line: dict, log: str):
        super().__init__(f"{line}\n{log}")
        self.error = line.get("error", {})


class _UnixHttp(http.client.HTTPConnection):
    def __init__(self, path: str):
        super().__init__("localhost", timeout=20 * PATIENCE)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20 * PATIENCE)
        self.sock.connect(self.path)


class Proxy:
    user, password = "hyperdrive", "LocalPassword1234567890ab"

    def __init__(self, pg=None, *, host: str = "127.0.0.1", port: int | None = None, database: str | None = None,
                 origin_user: str | None = None, origin_password: str | None = None, sslmode: str = "disable",
                 caching: dict | None = None, origin_connection_limit: int = 5, local: dict | None = None,
                 certificates: dict | None = None, env: dict | None = None, extra: dict | None = None,
                 pass_fds: tuple = ()):
        self.folder = tempfile.mkdtemp(prefix="hd-proxy-", dir="/tmp")
        self.port = free_port()
        self.database = database or pg.database
        self.admin_socket = os.path.join(self.folder, "admin.sock")
        self.handover_socket = os.path.join(self.folder, "handover.sock")
        self.log_file = os.path.join(self.folder, "log")
        settings = {"local_port": self.port, "scram_rounds": 64} | (local or {})
        if "HYPERDRIVE_TEST_WORKERS" in os.environ:  # for runs under ThreadSanitizer
            settings.setdefault("workers", int(os.environ["HYPERDRIVE_TEST_WORKERS"]))
        self.port = settings["local_port"]
        self.document = {
            "config": {
                "id": "0123456789abcdef0123456789abcdef", "name": "test",
                "origin": {"scheme": getattr(pg, "scheme", "postgresql"), "host": host, "port": port or pg.port, "database": self.database,
                           "user": origin_user or pg.user, "password": origin_password or pg.password},
                "tls": {"sslmode": sslmode}, "caching": caching or {"disabled": True},
                "origin_connection_limit": origin_connection_limit, "local": self.text(settings),
                "local_user": self.user, "local_password": self.password,
            },
            "certificates": certificates or {}, "admin_socket": self.admin_socket,
            "handover_socket": self.handover_socket, "log_file": self.log_file,
        } | (extra or {})
        self.env = dict(os.environ) | (env or {})
        self.pass_fds = pass_fds
        self.process: subprocess.Popen | None = None

    @staticmethod
    def text(settings: dict) -> dict:
        return settings

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exc):
        self.stop()
        log = self.log()
        shutil.rmtree(self.folder, ignore_errors=True)
        if exc[0] is None:
            assert not any(told in log for told in ("ERROR: AddressSanitizer", "WARNING: ThreadSanitizer", "runtime error")), log[-6000:]

    def start(self):
        config_read, config_write = os.pipe()
        ready_read, ready_write = os.pipe()
        os.set_inheritable(config_read, True)
        os.set_inheritable(ready_write, True)
        log = open(self.log_file, "ab")
        self.process = subprocess.Popen(
            [os.path.join(BIN, "hyperdrive-proxy"), "--config-fd", str(config_read), "--ready-fd", str(ready_write)],
            pass_fds=(config_read, ready_write, *self.pass_fds), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            env=self.env, cwd="/")
        log.close()
        os.close(config_read)
        os.close(ready_write)
        with os.fdopen(config_write, "w") as f:
            json.dump(self.document, f)
        with os.fdopen(ready_read) as f:
            line = f.readline()
        answer = json.loads(line) if line else {"error": {"message": "no ready line"}}
        if not answer.get("ready"):
            self.process.wait(20 * PATIENCE)
            raise NotReady(answer, self.log())
        self.port = answer["port"]

    def stop(self, sig: int = signal.SIGTERM, timeout: float = 40 * PATIENCE) -> int:
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.send_signal(sig)
            try:
                self.process.wait(timeout if sig == signal.SIGTERM else 10 * PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10 * PATIENCE)
                raise AssertionError(f"the proxy did not end after signal {sig}:\n{self.log()[-3000:]}")
        code, self.process = self.process.returncode, None
        return code

    def log(self) -> str:
        with open(self.log_file, errors="replace") as f:
            return f.read()

    def url(self, params: str = "", **other) -> str:
        user, password = other.get("user", self.user), other.get("password", self.password)
        scheme = self.document["config"]["origin"]["scheme"]
        return f"{scheme}://{user}:{password}@127.0.0.1:{self.port}/{other.get('database', self.database)}{params}"

    def login(self, **other) -> dict:
        """Arguments for pymysql.connect and MySQLdb.connect."""
        return {"host": "127.0.0.1", "port": self.port, "user": self.user, "password": self.password,
                "database": self.database} | other

    def admin(self, method: str, path: str, body: str | None = None):
        connection = _UnixHttp(self.admin_socket)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def stats(self) -> dict:
        status, body = self.admin("GET", "/v1/stats")
        assert status == 200, body
        return json.loads(body)

    def status(self) -> dict:
        return json.loads(self.admin("GET", "/v1/status")[1])

    def reload(self, **changes) -> tuple[int, str]:
        """Sends the launch document again with parts of its config replaced."""
        document = json.loads(json.dumps(self.document))
        for key, value in changes.items():
            if isinstance(value, dict):
                document["config"].setdefault(key, {}).update(value)
            else:
                document["config"][key] = value
        return self.admin("POST", "/v1/reload", json.dumps(document))

    def wait_known(self):
        """Until the origin's catalogs have been read: before that a read waits for them a while, and goes on without
        the cache if they do not come."""
        wait_for(lambda: self.admin("POST", "/v1/explain", '{"sql": "select 1"}')[0] == 200, 20, "the catalogs are known")

    def wait_quiet(self, clients: int = 0):
        """Until no client is there and every origin connection is idle."""
        def quiet():
            s = self.stats()
            return s["clients"] == clients and s["idle"] == s["origin_connections"] and s["waiting"] == 0
        wait_for(quiet, 20, "the proxy is quiet")

    def rss_kb(self) -> int:
        with open(f"/proc/{self.process.pid}/statm") as f:
            return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024
