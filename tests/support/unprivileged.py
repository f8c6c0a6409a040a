"""Running servers that refuse to be root, as another user when the tests run as root."""

import os
import pwd
import shutil
import subprocess
import tempfile


def server_user() -> str:
    """The user that servers run as: ourselves, or `postgres` (else `nobody`) if we are root."""
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid()).pw_name
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    raise RuntimeError("running as root and there is neither a user postgres nor nobody")


def command(argv: list[str]) -> list[str]:
    if os.geteuid() != 0:
        return argv
    return ["runuser", "-u", server_user(), "--", *argv]


def temp_folder(prefix: str) -> str:
    """A folder under /tmp that the server's user owns; the path is short enough for Unix sockets."""
    folder = tempfile.mkdtemp(prefix=prefix, dir="/tmp")
    give(folder)
    return folder


def give(path: str) -> None:
    if os.geteuid() == 0:
        shutil.chown(path, server_user())


def run(argv: list[str], **more) -> subprocess.CompletedProcess:
    return subprocess.run(command(argv), check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          stdin=subprocess.DEVNULL, cwd="/tmp", **more)
