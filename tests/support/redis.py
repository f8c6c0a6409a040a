"""A Redis of one's own on a free loopback port, without persistence."""

import os
import shutil
import signal
import subprocess
import tempfile

from .ports import can_connect, free_port, wait_for


class Redis:
    def __init__(self, password: str | None = None):
        self.folder = tempfile.mkdtemp(prefix="hd-redis-", dir="/tmp")
        self.port, self.password, self.process = free_port(), password, None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exc):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self):
        flags = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", self.folder]
        if self.password:
            flags += ["--requirepass", self.password]
        with open(os.path.join(self.folder, "log"), "ab") as log:
            self.process = subprocess.Popen(["redis-server", *flags], stdout=log, stderr=log)
        wait_for(lambda: can_connect(self.port), 20, "Redis answers")

    def stop(self, sig: int = signal.SIGKILL):
        if self.process:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(sig)
            self.process.wait(20)
            self.process = None

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def cli(self, *words: str) -> str:
        login = ["-a", self.password, "--no-auth-warning"] if self.password else []
        return subprocess.run(["redis-cli", "-p", str(self.port), *login, *words], capture_output=True, text=True,
                              check=True, timeout=80).stdout
