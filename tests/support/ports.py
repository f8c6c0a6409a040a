"""Free loopback ports and waiting for conditions."""

import socket
import time


def free_port() -> int:
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(condition, deadline: float = 20.0, what: str = "the condition", every: float = 0.02):
    """Calls `condition` until it returns something true, and returns that; fails after `deadline` seconds."""
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
        s.settimeout(1)
        return s.connect_ex((host, port)) == 0
