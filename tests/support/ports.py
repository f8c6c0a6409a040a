"""Free loopback ports and waiting for conditions."""

import os
import random
import socket
import time

# Deadlines in the tests are written for an idle machine; a busy or slow one gets this many times as much. Only a
# failure takes that long.
PATIENCE = float(os.environ.get("HYPERDRIVE_TEST_PATIENCE", "4"))

# Below the ports that hyperdrive gives to configs (15432-31999) and that the kernel gives to outgoing connections
# (from 32768): until its server binds it, neither a config nor a client's socket takes a port from here.
FIRST, LAST, BLOCK = 12_000, 15_400, 20


class _Ports:
    """The ports this process may give out. They come in blocks, and a block belongs to one process on this machine
    for as long as that lives: it holds the abstract socket of that name, which ends with it. So tests that run side
    by side never choose the same port, however long their servers take to bind it."""

    def __init__(self):
        self.claims, self.left = [], []

    def _claim(self) -> bool:
        blocks = list(range(FIRST, LAST, BLOCK))
        random.SystemRandom().shuffle(blocks)
        for first in blocks:
            if claim := claimed(f"ports-{first}"):
                self.claims.append((claim, first))
                self.left = list(range(first, first + BLOCK))
                return True
        return False

    def next(self) -> int:
        if not self.left and not self._claim():  # all are somebody's: once more through one's own
            self.left = [first + n for _, first in self.claims for n in range(BLOCK)]
        return self.left.pop(0)


def claimed(name: str) -> socket.socket | None:
    """Makes `name` this process's own until the socket is closed; None if it is another's."""
    claim = socket.socket(socket.AF_UNIX)
    try:
        claim.bind(f"\0hyperdrive-tests-{name}")
        return claim
    except OSError:
        claim.close()
        return None


_ports = _Ports()


def free_port() -> int:
    """A port nobody listens on, and that no other test will take."""
    for _ in range(LAST - FIRST):
        port = _ports.next()
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError(f"no free port from {FIRST} to {LAST}")


def wait_for(condition, deadline: float = 20.0, what: str = "the condition", every: float = 0.02):
    """Calls `condition` until it returns something true, and returns that; fails after `deadline` seconds (times
    PATIENCE)."""
    deadline *= PATIENCE
    end = time.monotonic() + deadline
    last = None
    while time.monotonic() < end:
        try:
            value = condition()
            if value:
                return value
            last = value
        except (OSError, AssertionError, KeyError) as error:
            last = error
        time.sleep(every)
    raise AssertionError(f"{what}: not within {deadline} s (last: {last!r})")


def can_connect(port: int, host: str = "127.0.0.1") -> bool:
    with socket.socket() as s:
        s.settimeout(PATIENCE)
        return s.connect_ex((host, port)) == 0
