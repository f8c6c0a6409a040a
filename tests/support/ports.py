"""Free loopback ports and waiting for conditions."""

import os
import random
import socket
import time

# Deadlines in the tests are written for an idle machine; a busy or slow one gets this many times as much. Only a
# failure takes that long.
PATIENCE = float(os.environ.get("HYPERDRIVE_TEST_PATIENCE", "4"))


def free_port() -> int:
    """A port nobody listens on, from below those the kernel gives to outgoing connections: until its server binds
    it, no client's socket takes it."""
    dice = random.SystemRandom()
    for _ in range(1000):
        port = dice.randrange(12_000, 32_000)
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no free port from 12000 to 31999")


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
