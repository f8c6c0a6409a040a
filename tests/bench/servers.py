"""The servers of a benchmark: the databases, PgBouncer, pgpool-II, the relay, the answerers, the proxy."""

import os
import shutil
import subprocess
from dataclasses import dataclass

from support import unprivileged
from support.mariadb import MariaDB
from support.ports import can_connect, free_port, wait_for
from support.postgres import Postgres
from support.proxy import Proxy

from . import sysbench

BUILD = os.path.dirname(os.environ["HYPERDRIVE_BIN"])


@dataclass
class Target:
    """Something pgbench can be pointed at."""
    name: str
    port: int
    pid: int
    user: str = "app"
    password: str = "app-secret"
    database: str = "shop"
    scale: int = 1


def postgres(scale: int) -> Postgres:
    pg = Postgres(settings={"shared_buffers": "256MB", "max_connections": 200})
    pg.__enter__()
    subprocess.run(["/usr/lib/postgresql/15/bin/pgbench", "-i", "-q", "-s", str(scale), "-h", "127.0.0.1",
                    "-p", str(pg.port), "-U", pg.user, pg.database],
                   env=dict(os.environ, PGPASSWORD=pg.password), check=True, capture_output=True)
    return pg


def mariadb() -> MariaDB:
    db = MariaDB(settings={"innodb_buffer_pool_size": "256M", "max_connections": "1200", "back_log": "1200",
                           "table_open_cache": "2000"})
    db.__enter__()
    sysbench.fill(target("direct", db))
    return db


class Server:
    """A program of another project, as the unprivileged user, with its files in a folder of its own."""

    def __init__(self, name: str, argv_of, config_of, port: int):
        self.folder = unprivileged.temp_folder(f"hd-{name}-")
        self.port = port
        for file, text in config_of(self.folder).items():
            path = os.path.join(self.folder, file)
            with open(path, "w") as f:
                f.write(text)
            os.chmod(path, 0o600)
            unprivileged.give(path)
        self.log = open(os.path.join(self.folder, "output"), "ab")
        # As many descriptors as allowed, which our proxy takes by itself.
        argv = ["sh", "-c", 'ulimit -n "$(ulimit -Hn)"; exec "$@"', "sh", *argv_of(self.folder)]
        self.process = subprocess.Popen(unprivileged.command(argv), stdin=subprocess.DEVNULL,
                                        stdout=self.log, stderr=self.log, cwd=self.folder)
        wait_for(lambda: can_connect(port), 20, f"{name} accepts connections")

    @property
    def pid(self) -> int:
        """The program itself, below runuser."""
        if os.geteuid() != 0:
            return self.process.pid
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children") as f:
            return int(f.read().split()[0])

    def stop(self):
        try:
            os.kill(self.pid, 15)
            self.process.wait(10)
        except (OSError, IndexError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def pgbouncer(pg: Postgres, auth: str, pool: int) -> Server:
    port = free_port()

    def config(folder):
        return {"users": f'"{pg.user}" "{pg.password}"\n', "ini": f"""[databases]
{pg.database} = host=127.0.0.1 port={pg.port} dbname={pg.database}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = {auth}
auth_file = {folder}/users
pool_mode = transaction
default_pool_size = {pool}
max_client_conn = 5000
logfile = {folder}/log
log_connections = 0
log_disconnections = 0
ignore_startup_parameters = extra_float_digits
"""}
    return Server("pgbouncer", lambda folder: ["/usr/sbin/pgbouncer", "-q", f"{folder}/ini"], config, port)


def pgpool(pg: Postgres) -> Server:
    """With its memory cache on; behind it Postgres trusts its Unix socket."""
    port = free_port()

    def config(folder):
        return {"conf": f"""listen_addresses = '127.0.0.1'
port = {port}
pcp_port = {free_port()}
socket_dir = '{folder}'
unix_socket_directories = '{folder}'
pcp_socket_dir = '{folder}'
pid_file_name = '{folder}/pid'
logdir = '{folder}'
backend_clustering_mode = 'raw'
backend_hostname0 = '{pg.folder}'
backend_port0 = {pg.port}
num_init_children = 40
max_pool = 1
enable_pool_hba = off
sr_check_period = 0
health_check_period = 0
memory_cache_enabled = on
memqcache_method = 'shmem'
memqcache_total_size = 64MB
memqcache_expire = 0
memqcache_oiddir = '{folder}/oid'
""", "hba": "", "pcp": "", "pool_passwd": ""}
    return Server("pgpool", lambda f: ["/usr/sbin/pgpool", "-n", "-f", f"{f}/conf", "-a", f"{f}/hba", "-F", f"{f}/pcp"],
                  config, port)


class Own:
    """One of our own two programs beside the proxy: it prints its port. `loop`: as HYPERDRIVE_LOOP forces it."""

    def __init__(self, program: str, *args: str, loop: str = ""):
        self.process = subprocess.Popen([os.path.join(BUILD, "bench", f"bench_{program}"), *args],
                                        stdout=subprocess.PIPE, text=True, env=dict(os.environ) | ({"HYPERDRIVE_LOOP": loop} if loop else {}))
        self.port = int(self.process.stdout.readline())
        self.pid = self.process.pid

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def proxy(pg: Postgres, *, cached: bool, pool: int, rounds: int = 4096, workers: int = 0) -> Proxy:
    caching = {"disabled": False, "max_age": 600} if cached else {"disabled": True}
    local = {"scram_rounds": rounds, "max_clients": 5000} | ({"workers": workers} if workers else {})
    started = Proxy(pg, caching=caching, origin_connection_limit=pool, local=local)
    started.__enter__()
    return started


def target(name: str, server, scale: int = 1) -> Target:
    if isinstance(server, Proxy):
        return Target(name, server.port, server.process.pid, server.user, server.password, server.database, scale)
    pid = server.pid() if callable(server.pid) else server.pid
    return Target(name, server.port, pid, scale=scale)
