"""Throwaway Postgres clusters on a free loopback port, of Debian's version or an npm-packaged one.

    with Postgres() as pg:
        pg.psql("create table t(x int)")
        psycopg.connect(pg.url())

The superuser is `postgres`; `app` / `app-secret` owns the database `shop`. Passwords are checked (SCRAM) on TCP.
"""

import os
import shutil
import signal
import subprocess

from . import unprivileged
from .ports import can_connect, free_port, wait_for

DEBIAN_BIN = "/usr/lib/postgresql/15/bin"


class Postgres:
    user, password, database = "app", "app-secret", "shop"

    def __init__(self, bin_dir: str = DEBIAN_BIN, settings: dict | None = None, hba: str | None = None,
                 initdb_args: tuple = (), library_path: str | None = None, port: int | None = None):
        self.bin_dir = bin_dir
        self.port = port or free_port()
        self.folder = unprivileged.temp_folder("hd-pg-")
        self.data = os.path.join(self.folder, "data")
        self.settings = {
            "listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": self.folder,
            "fsync": "off", "synchronous_commit": "off", "full_page_writes": "off",
            "max_connections": 100, "shared_buffers": "64MB", "log_min_messages": "warning",
            "password_encryption": "scram-sha-256",
        } | (settings or {})
        self.hba = hba or ("local all all trust\n"
                           "host all all 127.0.0.1/32 scram-sha-256\n"
                           "host replication all 127.0.0.1/32 scram-sha-256\n")
        self.initdb_args = initdb_args
        self.env = dict(os.environ, LC_ALL="C.UTF-8")
        if library_path:
            self.env["LD_LIBRARY_PATH"] = library_path
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
        unprivileged.run([f"{self.bin_dir}/initdb", "-D", self.data, "-U", "postgres", "-A", "trust",
                          "-E", "UTF8", "--no-sync", "--locale=C.UTF-8", *self.initdb_args], env=self.env)
        with open(os.path.join(self.data, "pg_hba.conf"), "w") as f:
            f.write(self.hba)
        self.write_settings()

    def write_settings(self):
        with open(os.path.join(self.data, "postgresql.auto.conf"), "w") as f:
            for name, value in self.settings.items():
                f.write(f"{name} = '{value}'\n")

    def start(self):
        log = open(os.path.join(self.folder, "log"), "ab")
        self.process = subprocess.Popen(
            unprivileged.command([f"{self.bin_dir}/postgres", "-D", self.data]), env=self.env, cwd="/tmp",
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        log.close()

        def ready():
            assert self.process.poll() is None, f"postgres ended: {self.log()[-2000:]}"
            return can_connect(self.port) and self.psql("select 1", user="postgres").strip() == "1"
        wait_for(ready, 60, "Postgres accepts connections")

    def pid(self) -> int:
        with open(os.path.join(self.data, "postmaster.pid")) as f:
            return int(f.readline())

    def stop(self, sig: int = signal.SIGINT):
        """SIGINT: fast shutdown; SIGQUIT: immediate; SIGKILL: as a crash."""
        if self.process is None:
            return
        if self.process.poll() is None:
            try:
                os.kill(self.pid(), sig)
            except (OSError, ValueError):
                self.process.kill()
        self.process.wait(60)
        self.process = None

    def restart(self, sig: int = signal.SIGINT):
        self.stop(sig)
        self.start()

    def remove(self):
        try:
            self.stop(signal.SIGQUIT)
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    # --- use -------------------------------------------------------------------------------------
    def create_app(self):
        self.psql(f"create role {self.user} login superuser password '{self.password}'", user="postgres",
                  database="postgres")
        self.psql(f"create database {self.database} owner {self.user}", user="postgres", database="postgres")

    def url(self, user: str | None = None, password: str | None = None, database: str | None = None,
            params: str = "") -> str:
        return (f"postgresql://{user or self.user}:{password or self.password}@127.0.0.1:{self.port}/"
                f"{database or self.database}{params}")

    def psql(self, sql: str, user: str = "postgres", database: str | None = None) -> str:
        """Runs SQL over the Unix socket (trust), past any proxy; returns unaligned text."""
        if database is None:
            database = self.database if self._has_database() else "postgres"
        result = subprocess.run(
            ["/usr/lib/postgresql/15/bin/psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", self.folder,
             "-p", str(self.port), "-U", user, "-d", database, "-c", sql],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if result.returncode:
            raise AssertionError(f"psql: {result.stderr.strip()} in: {sql[:200]}")
        return result.stdout

    _database_made = False

    def _has_database(self) -> bool:
        if not self._database_made:
            out = subprocess.run(
                ["/usr/lib/postgresql/15/bin/psql", "-X", "-q", "-A", "-t", "-h", self.folder, "-p", str(self.port),
                 "-U", "postgres", "-d", "postgres", "-c",
                 f"select 1 from pg_database where datname = '{self.database}'"],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            self._database_made = out.stdout.strip() == "1"
        return self._database_made

    def backends(self, application: str | None = None) -> int:
        """How many client backends there are, ours for this question not counted."""
        where = f" and application_name = '{application}'" if application else ""
        return int(self.psql("select count(*) from pg_stat_activity where backend_type = 'client backend' "
                             f"and pid <> pg_backend_pid(){where}"))

    def log(self) -> str:
        with open(os.path.join(self.folder, "log"), errors="replace") as f:
            return f.read()
