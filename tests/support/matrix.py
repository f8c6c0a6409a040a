"""What both driver matrices share: where a script connects to, and running one to its end."""

import os
import subprocess

DRIVERS = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "e2e", "drivers"))


class Target:
    """Where a script connects to."""

    def __init__(self, url: str):
        self.url = url
        rest = url.split("://", 1)[1]
        login, address = rest.rsplit("@", 1)
        self.user, self.password = login.split(":")
        self.host, port_and_database = address.split(":")
        self.port, self.database = port_and_database.split("?")[0].split("/")

    def parts(self):
        return [self.host, self.port, self.user, self.password, self.database]


def run(argv, stdin: str = "", **env) -> str:
    result = subprocess.run(argv, env=dict(os.environ, **env), input=stdin, capture_output=True, text=True, timeout=800)
    assert result.returncode == 0, f"{argv[:3]}: exit {result.returncode}\n{result.stdout[-3000:]}\n{result.stderr[-3000:]}"
    return result.stdout


def script(name):
    return os.path.join(DRIVERS, name)


GO = {"GO111MODULE": "off", "GOPATH": "/usr/share/gocode", "GOCACHE": "/tmp/hyperdrive-gocache", "GOFLAGS": ""}
