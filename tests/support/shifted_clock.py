"""A library that moves a server's clock: LD_PRELOAD for Postgres and MariaDB."""

import contextlib
import os
import subprocess

from . import unprivileged

SOURCE = os.path.join(os.path.dirname(__file__), "shifted_clock.c")


@contextlib.contextmanager
def library():
    """Its path, readable for the servers' user."""
    folder = unprivileged.temp_folder("hd-clock-")
    path = os.path.join(folder, "shifted_clock.so")
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", path, SOURCE], check=True)
    os.chmod(path, 0o755)
    yield path
    os.remove(path)
    os.rmdir(folder)
