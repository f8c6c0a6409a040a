"""Throwaway MariaDB servers on a free loopback port, as another user than root.

    with MariaDB(settings={"log_bin": "binlog", "binlog_format": "ROW"}) as db:
        db.sql("create table t(x int)")
        pymysql.connect(**db.login())

`app` / `app-secret` may do everything; the database is `shop`. `sql` runs the `mariadb` client as root over the
Unix socket, past any proxy. An initialised data directory is kept for the life of the process and copied.
"""

import atexit
import os
import shutil
import signal
import subprocess

from . import unprivileged
from .ports import can_connect, free_port, wait_for

MARIADBD = shutil.which("mariadbd", path=os.environ.get("PATH", "") + ":/usr/sbin") or "/usr/sbin/mariadbd"
INSTALL_DB = shutil.which("mariadb-install-db", path=os.environ.get("PATH", "") + ":/usr/bin:/usr/sbin")

_template: str | None = None


def _template_folder() -> str:
    global _template
    if _template is None:
        _template = unprivileged.temp_folder("hd-my-template-")
        atexit.register(shutil.rmtree, _template, ignore_errors=True)
        unprivileged.run([INSTALL_DB, "--no-defaults", f"--datadir={_template}/data", "--skip-test-db",
                          "--auth-root-authentication-method=normal", "--innodb-log-file-size=8M",
                          # As below: of the temporary folder of all others it would take tables away.
                          f"--tmpdir={_template}", "--innodb-flush-log-at-trx-commit=0", "--innodb-fast-shutdown=0"])
    return os.path.join(_template, "data")


class MariaDB:
    user, password, database = "app", "app-secret", "shop"
    scheme = "mysql"
    is_mysql = False

    def __init__(self, settings: dict | None = None, port: int | None = None):
        self.port = port or free_port()
        self.folder = unprivileged.temp_folder("hd-my-")
        self.data = os.path.join(self.folder, "data")
        self.socket = os.path.join(self.folder, "sock")
        self.settings = {
            "bind_address": "127.0.0.1", "skip_name_resolve": "ON", "innodb_flush_log_at_trx_commit": "0",
            "innodb_buffer_pool_size": "64M", "innodb_log_file_size": "8M", "innodb_doublewrite": "OFF",
            "sync_binlog": "0", "max_connections": "100", "local_infile": "ON", "max_allowed_packet": "64M",
            "query_cache_type": "OFF", "performance_schema": "OFF", "secure_file_priv": self.folder,
            # A server that starts deletes what it takes for its own temporary tables, other servers' too.
            "tmpdir": self.folder,
        } | (settings or {})
        self.env = dict(os.environ)
        self.process: subprocess.Popen | None = None

    # --- life ------------------------------------------------------------------------------------
    def __enter__(self):
        try:
            self.initialise()
            self.start()
            self.create_app()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(self, *exc):
        self.remove()

    def initialise(self):
        unprivileged.run(["cp", "-a", _template_folder(), self.data])

    def program(self) -> list[str]:
        """What is started, without the options that all have."""
        return [MARIADBD, "--no-defaults", "--skip-log-error"]

    def start(self):
        options = [f"--{name.replace('_', '-')}={value}" for name, value in self.settings.items()]
        log = open(os.path.join(self.folder, "log"), "ab")
        self.process = subprocess.Popen(
            unprivileged.command([*self.program(), f"--datadir={self.data}", f"--socket={self.socket}",
                                  f"--port={self.port}", f"--pid-file={self.folder}/pid", *options]),
            cwd="/tmp", env=self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        log.close()

        def ready():
            assert self.process.poll() is None, f"{type(self).__name__} ended: {self.log()[-3000:]}"
            return can_connect(self.port) and self.sql("select 1", database="").strip() == "1"
        wait_for(ready, 90, f"{type(self).__name__} accepts connections")

    def pid(self) -> int:
        with open(os.path.join(self.folder, "pid")) as f:
            return int(f.readline())

    def stop(self, sig: int = signal.SIGTERM):
        if self.process is None:
            return
        if self.process.poll() is None:
            try:
                os.kill(self.pid(), sig)
            except (OSError, ValueError):
                self.process.kill()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            os.kill(self.pid(), signal.SIGKILL)
            self.process.wait(20)
        self.process = None

    def restart(self, sig: int = signal.SIGTERM):
        self.stop(sig)
        self.start()

    def remove(self):
        try:
            self.stop(signal.SIGKILL)
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    # --- use -------------------------------------------------------------------------------------
    def create_app(self):
        self.sql(f"create database {self.database} character set utf8mb4;"
                 f"create user {self.user}@'%' identified by '{self.password}';"
                 f"grant all on *.* to {self.user}@'%' with grant option;", database="")

    def url(self, user: str | None = None, password: str | None = None, database: str | None = None,
            params: str = "") -> str:
        return (f"mysql://{user or self.user}:{password or self.password}@127.0.0.1:{self.port}/"
                f"{database or self.database}{params}")

    def login(self, **other) -> dict:
        """Arguments for pymysql.connect and MySQLdb.connect, straight to the server."""
        return {"host": "127.0.0.1", "port": self.port, "user": self.user, "password": self.password,
                "database": self.database} | other

    def sql(self, sql: str, database: str | None = None, user: str = "root") -> str:
        """Runs SQL over the Unix socket; returns rows with tabs between the columns."""
        name = self.database if database is None else database
        result = subprocess.run(
            ["mariadb", "--no-defaults", "-N", "-B", f"--socket={self.socket}", f"--user={user}",
             "--default-character-set=utf8mb4", *([name] if name else [])],
            input=sql, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if result.returncode:
            raise AssertionError(f"mariadb: {result.stderr.strip()} in: {sql[:200]}")
        return result.stdout

    def connections(self, user: str | None = None) -> int:
        """How many connections `user` (default: app) has."""
        return int(self.sql("select count(*) from information_schema.processlist "
                            f"where user = '{user or self.user}'"))

    def wait_for_no_transaction(self, deadline: float = 20.0):
        """Waits until no transaction of InnoDB is open. InnoDB collects this table's rows anew only when nobody has
        read it for 0.1 seconds: who asks more often sees the first answer for ever."""
        wait_for(lambda: self.sql("select count(*) from information_schema.innodb_trx").strip() == "0", deadline,
                 "no transaction is open", every=0.25)

    def log(self) -> str:
        with open(os.path.join(self.folder, "log"), errors="replace") as f:
            return f.read()
