"""Running hyperdrive-proxy --verify, reading what it says, and servers that are none."""

import json
import os
import socket
import subprocess
import threading

from .hyperdrive import BIN
from .ports import PATIENCE

PASSWORD = "p\u00e4ss word:%/?#"
STEPS = ["dns", "tcp", "tls", "login", "database", "query"]


def verify(port, user, password, host="127.0.0.1", database="shop", sslmode="disable", ca="",
           client=("", ""), timeout_ms=20000, limit=20, scheme="postgresql"):
    """Runs `hyperdrive-proxy --verify` and gives its document; `by` has the steps by name."""
    launch = {
        "config": {"id": "0" * 32, "name": "t", "origin_connection_limit": limit,
                   "origin": {"scheme": scheme, "host": host, "port": port, "database": database, "user": user,
                              "password": password},
                   "tls": {"sslmode": sslmode}, "local": {"connect_timeout": f"{timeout_ms}ms"}},
        "certificates": {"ca": ca, "client": client[0], "client_key": client[1]},
    }
    read, write = os.pipe()
    process = subprocess.Popen([os.path.join(BIN, "hyperdrive-proxy"), "--verify", "--config-fd", str(read)],
                               pass_fds=[read], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    os.close(read)
    with os.fdopen(write, "w") as pipe:
        json.dump(launch, pipe)
    out, err = process.communicate(timeout=60 * PATIENCE)
    assert out, err
    report = json.loads(out)
    assert process.returncode == (0 if report["ok"] else 1), err
    assert [step["step"] for step in report["steps"]] == STEPS
    for secret in (password, client[1]):
        assert not secret or (secret not in out and secret not in err)
    report["by"] = {step["step"]: step for step in report["steps"]}
    return report


def failed(report, step, code):
    """The step that failed, with this code; gives the message."""
    assert not report["ok"]
    assert report["by"][step]["status"] == "failed", report
    assert report["by"][step]["code"] == report["code"] == code, report
    assert report["message"] and report["by"][step]["message"] == report["message"]
    later = STEPS[STEPS.index(step) + 1:]
    assert all(report["by"][name]["status"] == "skipped" for name in later)
    assert all(report["by"][name]["status"] in ("ok", "warning") for name in STEPS[:STEPS.index(step)])
    return report["message"]


class Relay:
    """Listens on `host` and passes bytes to 127.0.0.1:`target`; stands in for another name of the server."""

    def __init__(self, target, host):
        self.listener = socket.create_server((host, 0))
        self.port = self.listener.getsockname()[1]
        self.target = target
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.target))
            for a, b in ((client, server), (server, client)):
                threading.Thread(target=self.copy, args=(a, b), daemon=True).start()

    @staticmethod
    def copy(source, target):
        try:
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self):
        self.listener.close()


class Liar:
    """Accepts, reads once, says `answer`; then closes, or keeps silent."""

    def __init__(self, answer: bytes, close=True):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.answer, self.closes, self.kept = answer, close, []
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            client.recv(4096)
            client.sendall(self.answer)
            if self.closes:
                client.close()
            else:
                self.kept.append(client)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()
        for client in self.kept:
            client.close()
