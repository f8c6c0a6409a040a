"""A network namespace at the end of a slow line: two TUN devices and a relay of IP packets between them.

    with FarNamespace(one_way_ms=25) as far:
        far.here, far.there          # addresses of the two ends
        far.run(["python3", …])      # inside the namespace
Needs root and /dev/net/tun; Unavailable says what is missing.
"""

import fcntl
import heapq
import itertools
import os
import select
import struct
import subprocess
import threading
import time

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000


class Unavailable(Exception):
    """No namespaces or TUN devices for us here."""


def _ip(*words: str):
    result = subprocess.run(["ip", *words], capture_output=True, text=True)
    if result.returncode:
        raise Unavailable(f"ip {' '.join(words)}: {result.stderr.strip()}")


def _tun(name: str) -> int:
    try:
        fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TUN | IFF_NO_PI))
    except OSError as error:
        raise Unavailable(f"/dev/net/tun: {error}") from error
    return fd


class FarNamespace:
    def __init__(self, one_way_ms: float):
        self.one_way = one_way_ms / 1000
        number = os.getpid()
        self.name = f"hd-far-{number}"
        self.devices = (f"hdh{number}", f"hdt{number}")
        net = f"10.{100 + number // 250 % 100}.{number % 250}"
        self.here, self.there = f"{net}.1", f"{net}.2"
        self.fds: list[int] = []
        self.done = threading.Event()

    def __enter__(self):
        if os.geteuid() != 0:
            raise Unavailable("only root may make namespaces")
        try:
            self._make()
        except (Unavailable, FileNotFoundError) as error:
            self._remove()
            raise Unavailable(str(error)) from error
        self.thread = threading.Thread(target=self._relay, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *exc):
        self.done.set()
        self.thread.join(10)
        self._remove()

    def run(self, argv: list[str], **more) -> subprocess.CompletedProcess:
        return subprocess.run(["ip", "netns", "exec", self.name, *argv], capture_output=True, text=True, **more)

    def _make(self):
        _ip("netns", "add", self.name)
        self.fds = [_tun(device) for device in self.devices]
        _ip("link", "set", self.devices[1], "netns", self.name)
        within = ("-n", self.name)
        _ip(*within, "link", "set", "lo", "up")
        for where, device, ours, theirs in (((), self.devices[0], self.here, self.there),
                                            (within, self.devices[1], self.there, self.here)):
            _ip(*where, "addr", "add", ours, "peer", theirs, "dev", device)
            _ip(*where, "link", "set", device, "up")

    def _remove(self):
        for fd in self.fds:
            os.close(fd)   # the device goes with it
        subprocess.run(["ip", "netns", "delete", self.name], capture_output=True)

    def _relay(self):
        """Packets wait in a heap until they are due at the other end."""
        due, order = [], itertools.count()
        while not self.done.is_set():
            patience = max(0.0, due[0][0] - time.monotonic()) if due else 0.2
            ready = select.select(self.fds, [], [], min(patience, 0.2))[0]
            for fd in ready:
                other = self.fds[1 - self.fds.index(fd)]
                try:
                    while True:
                        heapq.heappush(due, (time.monotonic() + self.one_way, next(order), other, os.read(fd, 65536)))
                except BlockingIOError:
                    pass
            while due and due[0][0] <= time.monotonic():
                _, _, fd, packet = heapq.heappop(due)
                try:
                    os.write(fd, packet)
                except OSError:
                    pass   # a full queue drops packets, as a network does
