"""Node, wrangler and the npm packages that tests/support/npm-install put under tests/e2e/node."""

import os
import shutil
import signal
import subprocess
import tempfile
import urllib.request

from .ports import PATIENCE, free_port, wait_for

FOLDER = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "e2e", "node"))
MODULES = os.path.join(FOLDER, "node_modules")


def environment(base: dict | None = None) -> dict:
    """`base` (default: ours) with Node 22 and the packages' programs first in PATH, and wrangler kept quiet."""
    env = dict(base if base is not None else os.environ)
    env["PATH"] = os.pathsep.join([os.path.join(MODULES, "node", "bin"), os.path.join(MODULES, ".bin"), env["PATH"]])
    env |= {"WRANGLER_SEND_METRICS": "false", "CLOUDFLARE_CF_FETCH_ENABLED": "false", "CI": "1",
            "WRANGLER_HIDE_BANNER": "true", "NO_UPDATE_NOTIFIER": "1"}
    return env


def project(files: dict[str, str]) -> str:
    """A temporary project folder with these files and the installed packages beside them."""
    folder = tempfile.mkdtemp(prefix="hd-worker-", dir="/tmp")
    for name, text in files.items():
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as f:
            f.write(text)
    os.symlink(MODULES, os.path.join(folder, "node_modules"))
    return folder


def run(script: str, *args: str, env: dict | None = None, timeout: float = 120 * PATIENCE, cwd: str = FOLDER):
    """Runs a Node script file to its end; fails with its output if it fails."""
    result = subprocess.run(["node", script, *args], env=environment(env), cwd=cwd, text=True,
                            stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout)
    assert result.returncode == 0, f"{script}: exit {result.returncode}\n{result.stdout}\n{result.stderr}"
    return result.stdout


class WranglerDev:
    """`wrangler dev` of a project, behind a command prefix such as `hyperdrive dev --`."""

    def __init__(self, folder: str, prefix: list[str] = (), env: dict | None = None, args: tuple = ()):
        self.folder, self.port = folder, free_port()
        self.output = os.path.join(folder, "dev.log")
        argv = [*prefix, "wrangler", "dev", "--port", str(self.port), "--ip", "127.0.0.1",
                "--inspector-port", str(free_port()), *args]
        with open(self.output, "wb") as log:
            self.process = subprocess.Popen(argv, cwd=folder, env=environment(env), stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, start_new_session=True)

    def __enter__(self):
        try:
            wait_for(self._ready, 90, "wrangler dev serves")
        except BaseException:
            text = self.log()
            self.stop()
            raise AssertionError(f"wrangler dev did not come up:\n{text[-4000:]}")
        return self

    def _ready(self):
        assert self.process.poll() is None, "the command ended"
        return "Ready on" in self.log()

    def __exit__(self, *exc):
        self.stop()

    def log(self) -> str:
        with open(self.output, errors="replace") as f:
            return f.read()

    def fetch(self, path: str = "/", timeout: float = 60 * PATIENCE) -> tuple[int, str]:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}")
        try:
            with urllib.request.urlopen(request, timeout=timeout) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode(errors="replace")

    def stop(self, sig: int = signal.SIGINT) -> int | None:
        """Ends it as Ctrl-C would, and its whole process group if that does not help; returns its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(sig)
            try:
                self.process.wait(20 * PATIENCE)
            except subprocess.TimeoutExpired:
                pass
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except OSError:
            pass
        return self.process.wait(10 * PATIENCE)


def remove(folder: str):
    shutil.rmtree(folder, ignore_errors=True)
