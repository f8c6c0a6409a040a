"""MySQL and MariaDB servers of other releases, as tests/support/server-install fetches them. Used as
support.mariadb.MariaDB is; each runs with the libraries of its own release.

Unstable changes every day: where its server cannot be fetched the tests of that are skipped, and say so."""

import glob
import os
import subprocess

import pytest

from . import unprivileged
from .mariadb import MariaDB

HOME = f"/var/tmp/hyperdrive-servers-{os.getuid()}"
INSTALL = os.path.join(os.path.dirname(os.path.abspath(__file__)), "server-install")


class Release(MariaDB):
    release = ""   # as server-install calls it
    server = "usr/sbin/mariadbd"
    is_unstable = False   # of a release whose packages may be gone tomorrow

    def initialise(self):
        fetched = subprocess.run([INSTALL, self.release], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if fetched.returncode and self.is_unstable:
            pytest.skip(f"{self.release} could not be fetched: {fetched.stdout[-500:]}")
        assert fetched.returncode == 0, f"{self.release} could not be fetched: {fetched.stdout[-2000:]}"
        os.mkdir(self.data, 0o750)
        unprivileged.give(self.data)

    @property
    def root(self) -> str:
        return os.path.join(HOME, self.release)

    def program(self):
        loader = glob.glob(f"{self.root}/**/ld-linux-x86-64.so.2", recursive=True)[0]
        libraries = ":".join(f"{self.root}/{folder}/x86_64-linux-gnu" for folder in ("usr/lib", "lib"))
        return [loader, "--library-path", libraries, f"{self.root}/{self.server}", "--no-defaults", f"--basedir={self.root}/usr",
                f"--lc-messages-dir={self.share}", f"--character-sets-dir={self.share}/charsets"]

    @property
    def share(self) -> str:
        return os.path.dirname(glob.glob(f"{self.root}/usr/share/m*/charsets")[0])


class OtherMariaDB(Release):
    def initialise(self):
        super().initialise()
        scripts = [glob.glob(f"{self.share}/{name}") for name in ("*_system_tables.sql", "*_performance_tables.sql", "*_system_tables_data.sql",
                                                                  "*_sys_schema.sql")]
        with open(os.path.join(self.folder, "bootstrap.sql"), "w") as out:
            out.write("create database mysql;\nuse mysql;\n")
            for script in (one for found in scripts for one in found):
                with open(script) as f:
                    out.write(f.read())
        with open(out.name) as script:
            subprocess.run(unprivileged.command([*self.program(), "--bootstrap", f"--datadir={self.data}", f"--tmpdir={self.folder}",
                                                 "--innodb-log-file-size=8M", "--skip-log-error"]),
                           check=True, stdin=script, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd="/tmp")

    def program(self):
        return [*super().program(), "--skip-log-error"]


class MariaDB118(OtherMariaDB):
    release = "mariadb-11.8"


class MariaDB105(OtherMariaDB):
    release = "mariadb-10.5"


class MySQL(Release):
    """9.7 at the time of writing: no mysql_native_password any more, session tracking, query attributes."""
    release = "mysql"
    server = "usr/sbin/mysqld"
    is_unstable = is_mysql = True

    def __init__(self, settings: dict | None = None, port: int | None = None):
        super().__init__(None, port)
        for name in ("innodb_log_file_size", "query_cache_type"):
            self.settings.pop(name)
        self.settings |= {"mysqlx": "OFF", "innodb_redo_log_capacity": "8M"} | (settings or {})

    def initialise(self):
        super().initialise()
        unprivileged.run([*self.program(), "--initialize-insecure", f"--datadir={self.data}", f"--tmpdir={self.folder}",
                          "--innodb-redo-log-capacity=8M"])

    def program(self):
        return [*super().program(), f"--plugin-dir={self.root}/usr/lib/mysql/plugin"]
