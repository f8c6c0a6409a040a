"""An isolated installation of hyperdrive (HYPERDRIVE_HOME in a temporary folder) and its commands."""

import json
import os
import shutil
import subprocess
import tempfile

from .ports import PATIENCE, claimed

BIN = os.environ.get("HYPERDRIVE_BIN") or os.path.abspath(
    os.path.join(os.path.dirname(__file__), "..", "..", "build", "bin"))


def sanitized() -> bool:
    """Built with a sanitizer: memory says nothing then, and nothing can be preloaded before its library."""
    with open(os.path.join(BIN, "hyperdrive-proxy"), "rb") as f:
        program = f.read()
    return b"__asan_init" in program or b"__tsan_init" in program


def folder_with_ports(block: int = 40):
    """A new folder, and the claim on the ports its first configs will get. An installation gives ports from a place
    that follows from its path (core/registry: first_port), so two test processes could be given the same ones, and
    whichever starts its proxy last would find the port taken."""
    while True:
        folder = tempfile.mkdtemp(prefix="hd-home-", dir="/tmp")
        value = 14695981039346656037
        for byte in os.path.join(folder, "home").encode():
            value = (value ^ byte) * 1099511628211 % 2**64
        first = 15_432 + value % (31_999 - 15_432 + 1)
        if first % block <= block // 2 and (claim := claimed(f"configs-{first // block}")):
            return folder, claim
        os.rmdir(folder)


class Failed(AssertionError):
    """A command ended with another exit code than 0."""

    def __init__(self, argv, result):
        super().__init__(f"{' '.join(argv)} -> {result.returncode}\n{result.stdout}\n{result.stderr}")
        self.result = result


class Hyperdrive:
    """`with Hyperdrive() as hd: hd("create", "shop", "--connection-string", pg.url())`; stops every proxy it started."""

    def __init__(self, cwd: str | None = None):
        self.folder, self._ports = folder_with_ports()
        self.home = os.path.join(self.folder, "home")
        self.cwd = cwd or os.path.join(self.folder, "work")
        os.makedirs(self.cwd, exist_ok=True)
        self.env = {k: v for k, v in os.environ.items() if not k.startswith(("CLOUDFLARE_", "HYPERDRIVE_", "WRANGLER_"))}
        for name in ("HYPERDRIVE_LOOP",):
            if name in os.environ:
                self.env[name] = os.environ[name]
        self.env["HYPERDRIVE_HOME"] = self.home
        self.env["PATH"] = BIN + os.pathsep + self.env["PATH"]

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        try:
            for proxy in self.json("status", "--json"):  # what runs: there may be very many configs
                self.run("stop", proxy["id"])
        finally:
            self.kill_leftovers()
            shutil.rmtree(self.folder, ignore_errors=True)
            self._ports.close()

    def run(self, *args: str, timeout: float = 60 * PATIENCE, stdin: str = "", **more) -> subprocess.CompletedProcess:
        """Runs `hyperdrive args…` and gives back the result, whatever the exit code."""
        env = self.env | more.pop("env", {})
        return subprocess.run([os.path.join(BIN, "hyperdrive"), *args], env=env, cwd=more.pop("cwd", self.cwd),
                              input=stdin, text=True, capture_output=True, timeout=timeout, **more)

    def __call__(self, *args: str, **more) -> str:
        """Runs a command that must succeed; returns its standard output."""
        result = self.run(*args, **more)
        if result.returncode:
            raise Failed(args, result)
        return result.stdout

    def json(self, *args: str, **more):
        return json.loads(self(*args, **more))

    def create(self, name: str, url: str, *flags: str) -> str:
        """Creates a config and returns its id."""
        self("create", name, "--connection-string", url, *flags)
        return self.json("get", name)["id"]

    def start(self, name: str) -> str:
        """Starts the proxy of a config and returns its local connection string."""
        self("start", name)
        return self("url", name).strip()

    def stats(self, name: str) -> dict:
        return self.json("stats", name, "--json")

    def pid(self, name: str) -> int:
        config = self.json("get", name)
        with open(os.path.join(self.home, "run", config["id"] + ".json")) as f:
            return json.load(f)["pid"]

    def kill_leftovers(self):
        run = os.path.join(self.home, "run")
        for entry in os.listdir(run) if os.path.isdir(run) else []:
            if entry.endswith(".json"):
                try:
                    with open(os.path.join(run, entry)) as f:
                        os.kill(json.load(f)["pid"], 9)
                except (OSError, ValueError, KeyError):
                    pass
