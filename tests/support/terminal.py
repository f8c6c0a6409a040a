"""A command in a pseudo-terminal: what a person would see and type."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time

from .hyperdrive import BIN
from .ports import PATIENCE


class Terminal:
    """`with Terminal(hd, "create", "x") as t: t.expect("?"); t.type("y\\n"); assert t.wait() == 0`."""

    def __init__(self, hd, *args: str, columns: int = 100, rows: int = 30, env: dict | None = None, program=None):
        self.output = ""
        self.controller, follower = pty.openpty()
        fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        environment = {k: v for k, v in hd.env.items() if k not in ("CI", "NO_COLOR")} | {"TERM": "xterm-256color"} | (env or {})

        def become_foreground():
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(program or [os.path.join(BIN, "hyperdrive"), *args], env=environment, cwd=hd.cwd,
                                        stdin=follower, stdout=follower, stderr=follower, preexec_fn=become_foreground)
        os.close(follower)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.controller)

    def read(self, seconds: float) -> bool:
        """Takes in what comes within `seconds`; false at the end of the program's output."""
        if not select.select([self.controller], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self.controller, 65536)
        except OSError:
            return False
        self.output += data.decode("utf-8", "replace")
        return bool(data)

    def expect(self, text: str, deadline: float = 20):
        end = time.monotonic() + deadline * PATIENCE
        while text not in self.output:
            assert time.monotonic() < end and self.read(0.1) or text in self.output, \
                f"{text!r} did not appear in:\n{self.output}"

    def type(self, text: str):
        os.write(self.controller, text.encode())

    def interrupt(self):
        """Ctrl-C, as the terminal delivers it."""
        self.type("\x03")

    def echo(self) -> bool:
        return bool(termios.tcgetattr(self.controller)[3] & termios.ECHO)

    def wait(self, deadline: float = 20) -> int:
        """Reads to the end and returns the exit code (128 + signal if one ended it)."""
        end = time.monotonic() + deadline * PATIENCE
        while self.read(0.05) and self.process.poll() is None:
            assert time.monotonic() < end, f"still running:\n{self.output}"
        code = self.process.wait(timeout=max(1.0, end - time.monotonic()))
        # What it wrote last may still be on its way through the kernel; the end comes when nobody has the terminal open.
        end = time.monotonic() + PATIENCE
        while self.read(0.05) and time.monotonic() < end:
            pass
        return code if code >= 0 else 128 - code

    def signal(self, number: int = signal.SIGTERM):
        self.process.send_signal(number)
