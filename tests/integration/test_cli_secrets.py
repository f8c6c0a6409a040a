"""A secret that goes in is found nowhere: not in system calls, files, logs, the process list, output."""

import os
import re
import shutil
import signal
import subprocess

import pytest
from support.hyperdrive import BIN, Hyperdrive
from support.ports import wait_for
from support.postgres import Postgres

PASSWORD = "S3cr3t-xyzzy-4711"
URL = f"postgresql://app:{PASSWORD}@127.0.0.1:5432/shop"


@pytest.fixture
def hd():
    with Hyperdrive() as hd:
        yield hd


def files_with(folder: str, text: str) -> list[str]:
    found = []
    for root, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(root, name)
            if os.path.isfile(path):
                with open(path, "rb") as f:
                    if text.encode() in f.read():
                        found.append(path)
    return found


@pytest.mark.skipif(not shutil.which("strace"), reason="no strace here")
def test_create_writes_the_password_into_a_pipe_at_most(hd):
    trace = os.path.join(hd.folder, "trace")
    env = hd.env | {"ASAN_OPTIONS": "detect_leaks=0"}   # which would trace the process itself
    subprocess.run(["strace", "-f", "-s", "9999", "-o", trace, os.path.join(BIN, "hyperdrive"), "create", "x",
                    "--connection-string", "-", "--no-verify"], input=URL, text=True, env=env, cwd=hd.cwd, check=True,
                   capture_output=True)
    with open(trace, errors="replace") as f:
        lines = [line for line in f if PASSWORD in line]
    os.remove(trace)
    assert len(lines) == 1 and re.search(r"\bread\(0, ", lines[0]), f"only the reading of standard input: {lines}"
    assert files_with(hd.folder, PASSWORD) == []


def test_nothing_printed_and_nothing_stored_holds_the_password(hd):
    hd("create", "x", "--connection-string", URL, "--no-verify")
    for words in (["list"], ["list", "--json"], ["get", "x"], ["get", "x", "--all"], ["env", "x"], ["url", "x"], ["status", "--all"],
                  ["doctor"], ["bindings"], ["update", "x", "--max-age", "5"], ["test", "x"], ["test", "x", "--json"],
                  ["create", "x", "--connection-string", URL], ["create", "y", "--connection-string", URL],
                  ["create", "y", "--connection-string", URL.replace("5432", "notaport")],
                  ["create", "y", "--connection-string", URL, "--databse", "d"],
                  ["create", "y", "--connection-string", URL + "?sslmode=nonsense"],
                  ["__complete", "--", "get", ""], ["delete", "x", "--yes"]):
        result = hd.run(*words)
        assert PASSWORD not in result.stdout + result.stderr, words
    assert files_with(hd.folder, PASSWORD) == []
    assert os.stat(hd.home).st_mode & 0o077 == 0
    for name in os.listdir(hd.home):
        assert os.stat(os.path.join(hd.home, name)).st_mode & 0o077 == 0, name


SLIPS = [["create", "x", URL], ["create", URL], ["create", URL, "--database", "d"], ["get", URL], ["delete", URL, "--yes"], [URL],
         ["cert", URL], ["create", "x", "--max-age", URL], ["create", "x", "--sslmode", URL], ["create", "x", "--scheme", URL],
         ["create", "x", "--local-port", URL, "--connection-string", URL], ["create", "x", "--cache-rule", URL, "--connection-string", URL],
         ["create", "x", "--host", URL, "--user", "u", "--password", "p", "--database", "d", "--no-verify"],
         ["create", "x", "--connection-string-env", URL], ["create", "x", "--databse", URL], ["create", "x", f"--databse={URL}"],
         ["create", "x", "--connection-string", URL + ":x", "extra"], ["start", URL], ["url", URL], ["logs", URL], ["bind", URL],
         ["bind", "x", "--binding", URL], ["unbind", URL], ["test", URL], ["doctor", URL], ["stats", URL], ["status", URL],
         ["cache", "purge", URL], ["cache", "explain", URL, "select 1"], ["init", URL], ["completions", URL], ["export", URL],
         ["apply", "-f", URL], ["push", URL], ["list", "-c", URL], ["list", "--cwd", URL], ["list", "-e", URL], ["help", URL],
         ["create", "x", "--connection-string", f"host=h password={PASSWORD}"], ["create", "x", f"host=h password={PASSWORD}"],
         ["create", "x", "--cache-url", f"redis://:{PASSWORD}@h:99999", "--connection-string", URL],
         ["create", "x", "--cache-url", f"http://:{PASSWORD}@h", "--connection-string", URL], ["dev", URL]]


def test_a_connection_string_in_the_wrong_place_is_not_repeated(hd):
    for number, words in enumerate(SLIPS):
        result = hd.run(*words, *(["--json"] if number % 2 else []), env={"CLOUDFLARE_API_TOKEN": "x"})
        assert PASSWORD not in result.stdout + result.stderr, words
    assert files_with(hd.folder, PASSWORD) == []


def test_the_process_list_shows_no_secret(hd):
    program = os.path.join(hd.folder, "slow-proxy")
    with open(program, "w") as f:
        f.write("#!/bin/sh\nsleep 3\necho '{\"ok\":true,\"steps\":[]}'\n")
    os.chmod(program, 0o700)
    for flags in (["--connection-string", URL], [f"--connectionString={URL}"],
                  ["--host", "127.0.0.1", "--user", "u", "--database", "d", "--password", PASSWORD],
                  ["--host=127.0.0.1", "--user=u", "--database=d", f"--originPassword={PASSWORD}"],
                  ["--connection-string", "postgresql://app:x@127.0.0.1/d", "--cache-url", f"redis://:{PASSWORD}@127.0.0.1:1"],
                  ["--connection-string", URL.replace("postgresql", "mysql").replace("5432", "3306")]):
        process = subprocess.Popen([os.path.join(BIN, "hyperdrive"), "create", "x", *flags], env=hd.env | {"HYPERDRIVE_PROXY": program},
                                   cwd=hd.cwd, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        def children():
            with open(f"/proc/{process.pid}/task/{process.pid}/children") as f:
                return f.read().split()

        wait_for(children, what="the verification to run")
        for pid in [str(process.pid), *children()]:
            for file in ("cmdline", "environ"):
                with open(f"/proc/{pid}/{file}", "rb") as f:
                    assert PASSWORD.encode() not in f.read(), (flags, file)
        process.kill()
        process.wait()


def test_a_crash_of_the_cli_leaves_no_core_dump_with_the_secret(hd):
    program = os.path.join(hd.folder, "slow-proxy")
    with open(program, "w") as f:
        f.write("#!/bin/sh\nsleep 3\n")
    os.chmod(program, 0o700)
    process = subprocess.Popen(["sh", "-c", 'ulimit -c unlimited; exec "$@"', "sh", os.path.join(BIN, "hyperdrive"), "create", "x",
                                "--connection-string", URL], env=hd.env | {"HYPERDRIVE_PROXY": program}, cwd=hd.cwd,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def running():
        with open(f"/proc/{process.pid}/task/{process.pid}/children") as f:
            return f.read()

    wait_for(running, what="the verification to run")
    process.send_signal(signal.SIGABRT)
    process.wait()
    assert process.returncode == -signal.SIGABRT
    assert files_with(hd.cwd, PASSWORD) == []


def test_a_running_proxy_shows_no_secret(hd):
    with Postgres() as pg:
        hd("create", "x", "--connection-string", pg.url())
        hd("start", "x")
        pid = hd.pid("x")
        secret = pg.url().split(":")[2].split("@")[0]
        for file in ("cmdline", "environ"):
            with open(f"/proc/{pid}/{file}", "rb") as f:
                assert secret.encode() not in f.read(), file
        assert files_with(hd.home, secret) == []
        assert secret not in hd("logs", "x")
        hd("stop", "x")


def test_secrets_of_every_kind_come_out_nowhere(hd):
    """The cache's password, Access, API tokens, an HTTP proxy's password, keys of certificates, what `apply` refers to."""
    redis, access, token, gate, declared = (f"{PASSWORD}-{kind}" for kind in ("redis", "access", "token", "gate", "apply"))
    cloud = {"CLOUDFLARE_API_TOKEN": token, "CLOUDFLARE_ACCOUNT_ID": "0" * 32,
             "CLOUDFLARE_API_BASE_URL": f"http://user:{gate}@127.0.0.1:9/client/v4", "http_proxy": f"http://u:{gate}@127.0.0.1:9"}
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "cert.pem", "-subj", "/CN=x"],
                   cwd=hd.cwd, check=True, capture_output=True)
    with open(os.path.join(hd.cwd, "key.pem")) as f:
        key = f.read().splitlines()[5]
    with open(os.path.join(hd.cwd, "good.toml"), "w") as f:
        f.write('version = 1\n[[configs]]\nname = "declared"\nconnection_string = "env:DECLARED"\n')
    said = ""
    for words, env in (
            (["create", "pg", "--connection-string", URL, "--cache-url", f"redis://:{redis}@127.0.0.1:1", "--no-verify"], {}),
            (["create", "my", "--connection-string", URL.replace("postgresql", "mysql"), "--no-verify"], {}),
            (["create", "acc", "--host", "h", "--user", "u", "--database", "d", "--password", PASSWORD, "--access-client-id", "x",
              "--access-client-secret", access, "--no-verify"], {}),
            (["apply", "-f", "good.toml", "--no-verify"], {"DECLARED": f"postgres://u:{declared}@127.0.0.1:1/d"}),
            (["apply", "-f", "good.toml"], {"DECLARED": f"postgres://u:{declared}@127.0.0.1:x/d"}),
            (["cert", "upload", "mtls-certificate", "--cert", "cert.pem", "--key", "key.pem", "--name", "me"], {}),
            (["cert", "upload", "mtls-certificate", "--cert", "key.pem", "--key", "cert.pem", "--name", "swapped"], {}),
            *((words, cloud) for words in (["push"], ["pull"], ["diff", "--json"])),
            *((words, {}) for words in (["list", "--json"], ["get", "pg", "--all"], ["get", "acc", "--json"], ["export"],
                                        ["export", "--json"], ["test", "my"], ["doctor", "--json"], ["cert", "list", "--json"]))):
        result = hd.run(*words, env=env)
        said += result.stdout + result.stderr
    os.remove(os.path.join(hd.cwd, "key.pem"))
    for secret in (PASSWORD, key):
        assert secret not in said
        assert files_with(hd.folder, secret) == []
    assert {c["name"] for c in hd.json("list", "--json")} == {"pg", "my", "acc", "declared"}


def test_a_damaged_key_is_named_and_a_missing_one_is_not_made_anew_in_silence(hd):
    hd("create", "x", "--connection-string", URL, "--no-verify")
    key = os.path.join(hd.home, "key")
    with open(key, "w") as f:
        f.write("junk")
    told = hd.run("doctor")
    assert told.returncode == 1 and re.search(r"failed +key .*is damaged", told.stdout), told.stdout
    assert "Restore it from a backup" in told.stdout and "secrets" not in told.stdout
    os.remove(key)
    made = hd.run("create", "y", "--connection-string", URL, "--no-verify")
    assert made.returncode == 0 and "is missing: a new one is made" in made.stderr
    again = hd.run("create", "z", "--connection-string", URL, "--no-verify")
    assert again.returncode == 0 and "missing" not in again.stderr


def test_an_altered_row_is_reported_and_not_used(hd):
    import sqlite3
    hd("create", "x", "--connection-string", URL, "--no-verify")
    db = sqlite3.connect(os.path.join(hd.home, "registry.db"))
    db.execute("update configs set host = 'evil.example.com'")
    db.commit()
    db.close()
    for words in (["start", "x"], ["test", "x"], ["update", "x", "--max-age", "5", "--no-verify"]):
        result = hd.run(*words)
        assert result.returncode == 1, words
        assert PASSWORD not in result.stdout + result.stderr
    assert hd.run("doctor").returncode == 1
    hd("update", "x", "--connection-string", URL, "--no-verify")
    assert hd("url", "x").startswith("postgresql://")
