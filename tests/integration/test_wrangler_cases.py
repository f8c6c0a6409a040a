"""The recorded runs of the real wrangler (wrangler_cases/), replayed: same meaning, same stored config, same snippet.

What differs on purpose stands in the table of docs/wrangler.md, with the reason; this test reads that table, so that a
deviation without an entry fails, and so does an entry that is no longer true.
"""

import ast
import json
import os
import re
import shlex
import shutil
import stat
import tomllib

import pytest
from support.hyperdrive import Hyperdrive
from support.terminal import Terminal

HERE = os.path.dirname(os.path.abspath(__file__))
CASES = os.path.join(HERE, "wrangler_cases")
DOCS = os.path.join(HERE, "..", "..", "docs", "wrangler.md")

# The configs that the recordings' mock account held, as far as the cases use them.
SEEDS = {
    "11111111111111111111111111111111": ("pg-main", [
        "--connection-string", "postgresql://test:secret@db.example.com:5432/neondb", "--origin-connection-limit", "25",
        "--max-age", "60", "--swr", "15"]),
    "22222222222222222222222222222222": ("my-mysql", [
        "--connection-string", "mysql://dbuser:secret@mysql.example.com:3306/mydb", "--caching-disabled"]),
}

WORKER_JSONC = """// my worker config
{
  "$schema": "node_modules/wrangler/config-schema.json",
  "name": "demo", // the name
  "main": "src/index.js",
  "compatibility_date": "2026-01-01",
  /* flags */
  "compatibility_flags": ["nodejs_compat"],
  "vars": { "A": "b" },
}
"""
WORKER_TOML = 'name = "demo"\nmain = "src/index.js"\ncompatibility_date = "2026-01-01"\n'

# The files as they were before the run: the recordings show them afterwards only.
FILES_BEFORE = {
    "cfg-both": {"wrangler.jsonc": WORKER_JSONC, "wrangler.toml": WORKER_TOML,
                 "wrangler.json": '{\n\t"name": "demo",\n\t"compatibility_date": "2026-01-01"\n}\n'},
    "cfg-jsonc-existing-same": {"wrangler.jsonc": """{
	"name": "demo",
	"main": "src/index.js",
	"compatibility_date": "2026-01-01",
	"hyperdrive": [
		// existing one
		{
			"binding": "HYPERDRIVE",
			"id": "00000000000000000000000000000001",
			"localConnectionString": "postgres://a:b@localhost/db"
		},
	],
	"env": {
		"staging": {
			"name": "demo-staging"
		}
	}
}
"""},
    "cfg-tty-name": {"wrangler.jsonc": WORKER_JSONC},
    "cfg-tty-update": {"wrangler.jsonc": WORKER_JSONC},
}


class Case:
    """One file: the command, how it was run, what came out, what was sent, the files afterwards."""

    def __init__(self, path: str):
        with open(path, encoding="utf-8", newline="") as f:
            text = f.read()
        self.name = os.path.basename(path).removesuffix(".txt")
        first, second, self.rest = text.split("\n", 2)
        self.words = shlex.split(first.removeprefix("$ "))[1:]
        header = re.fullmatch(r"\[mode=(\S+) tty=(\w+) rc=(\d+) time=[\d.]+s(?: env=(\{.*?\}))?(?: unset=(\(.*\)))?\]", second)
        self.mode, self.tty, self.code = header[1], header[2] == "True", int(header[3])
        self.env = ast.literal_eval(header[4]) if header[4] else {}
        self.stdout = self._section("stdout", r"--- stderr\n")
        self.bodies = [json.loads(b) for b in re.findall(r"^    body: (\{.*\})$", self.rest, re.M)]
        self.files = {m[1]: m[2] for m in re.finditer(
            r"^--- file (\S+) after\n(.*?)(?=^--- file |\Z)", self.rest, re.M | re.S)}

    def _section(self, name, end):
        found = re.search(rf"--- {name}\n(.*?){end}", self.rest, re.S)
        return found[1] if found else ""

    @property
    def command(self):
        """The words for `hyperdrive`: without wrangler's `hyperdrive` before them."""
        return self.words[1:] if self.words[:1] == ["hyperdrive"] else self.words


def deviations() -> dict[str, str]:
    """case → what hyperdrive does instead, from the table in docs/wrangler.md."""
    with open(DOCS, encoding="utf-8") as f:
        rows = re.findall(r"^\| `([a-zA-Z0-9-]+)` \| [^|]+ \| (\w+) \| .+ \|$", f.read(), re.M | re.I)
    return dict(rows)


ALL = [Case(os.path.join(CASES, name)) for name in sorted(os.listdir(CASES)) if name.endswith(".txt")]
DEVIATIONS = deviations()
NOT_LOCAL = {c.name for c in ALL if DEVIATIONS.get(c.name) == "local"}


def cases(verb: str):
    chosen = [c for c in ALL if c.command[:1] == [verb] and c.name not in NOT_LOCAL]
    return pytest.mark.parametrize("case", chosen, ids=lambda c: c.name)


@pytest.fixture
def hd():
    with Hyperdrive() as hd:
        yield hd


def seed(hd: Hyperdrive, words: list[str]) -> list[str]:
    """Creates the seeds that the words name, and puts their ids here in the place of the recorded ones."""
    out = []
    for word in words:
        if word in SEEDS:
            name, flags = SEEDS[word]
            hd("create", name, *flags, "--no-verify")
            word = hd.json("get", name)["id"]
        out.append(word)
    return out


def write_files(hd: Hyperdrive, case: Case) -> dict[str, str]:
    before = FILES_BEFORE.get(case.name, case.files)
    for name, text in before.items():
        with open(os.path.join(hd.cwd, name), "w", encoding="utf-8", newline="") as f:
            f.write(text)
    return before


def read(hd: Hyperdrive, name: str) -> str:
    with open(os.path.join(hd.cwd, name), encoding="utf-8", newline="") as f:
        return f.read()


def parse_config(name: str, text: str):
    if name.endswith(".toml"):
        return tomllib.loads(text)
    text = re.sub(r'("(?:\\.|[^"\\])*")|//[^\n]*|/\*.*?\*/', lambda m: m[1] or "", text, flags=re.S)
    return json.loads(re.sub(r",(\s*[\]}])", r"\1", text))


def snippet(stdout: str):
    """The stanza printed after the sentence that announces it, as data."""
    text = stdout.split("configuration file", 1)[1].split(":\n", 1)[1]
    if "[[hyperdrive]]" in text:
        return tomllib.loads("\n".join(text.strip().split("\n")[:3]))
    return json.JSONDecoder().raw_decode(text.strip())[0]


def with_id(data, new: str):
    return json.loads(re.sub(r"aaaaaaaaaaaaaaaaaaaaaaaaaaaa\d{4}", new, json.dumps(data)))


def stored_as_sent(stored: dict, body: dict):
    """Does the stored config say what the recorded request said?"""
    origin = {k: v for k, v in body.get("origin", {}).items() if k not in ("password", "access_client_secret")}
    for key, value in origin.items():
        assert stored["origin"].get(key) == value, key
    assert "password" not in json.dumps(stored)
    for key, value in body.get("caching", {}).items():
        assert stored["caching"].get(key) == value, key
    for key, value in body.get("mtls", {}).items():
        assert stored["mtls"].get(key) == value, key
    for key in ("name", "origin_connection_limit"):
        if key in body:
            assert stored[key] == body[key], key


RECORDER = """#!/usr/bin/python3
import os, sys
fd = int(sys.argv[sys.argv.index("--config-fd") + 1])
with open("RECORD", "wb") as out:
    while data := os.read(fd, 65536):
        out.write(data)
print('{"ok":true,"steps":[],"warnings":[]}')
"""


def launch_document(hd: Hyperdrive, name: str) -> dict:
    """What a proxy of this config would be given, its password included: seen by a program in the proxy's place."""
    program, record = os.path.join(hd.folder, "recorder"), os.path.join(hd.folder, "record.json")
    with open(program, "w") as f:
        f.write(RECORDER.replace("RECORD", record))
    os.chmod(program, stat.S_IRWXU)
    hd("test", name, "--json", env={"HYPERDRIVE_PROXY": program})
    with open(record, encoding="utf-8") as f:
        document = json.load(f)
    os.remove(record)
    return document["config"] if "config" in document else document


def expected_success(case: Case) -> bool:
    return {"accepted": True, "refused": False}.get(DEVIATIONS.get(case.name), case.code == 0)


def check_plain(result):
    assert "\x1b" not in result.stdout + result.stderr, "no colour in pipes"


@cases("create")
def test_create(hd, case):
    before = write_files(hd, case)
    if case.name == "api-2017":
        hd("create", "e2017", "--connection-string", "postgres://u:p@h/d", "--no-verify")
    if case.tty:
        return replay_on_terminal(hd, case, before)
    result = hd.run(*case.command, "--no-verify", env=case.env)
    check_plain(result)
    assert (result.returncode == 0) == expected_success(case), result.stderr
    if result.returncode:
        assert "✘ [ERROR]" in result.stderr
        known = ["e2017"] if case.name == "api-2017" else []
        assert [c["name"] for c in hd.json("list", "--json")] == known, "nothing is stored"
        assert {name: read(hd, name) for name in before} == before, "no file is touched"
        return None
    name = case.command[1]
    stored = hd.json("get", name)
    if case.code:
        return None
    check_created(hd, case, before, stored, result.stdout)
    return None


def check_created(hd, case, before, stored, stdout):
    body = case.bodies[0]
    stored_as_sent(stored, body)
    if "host" in body["origin"] and "access_client_id" not in body["origin"]:
        assert launch_document(hd, stored["name"])["origin"]["password"] == body["origin"]["password"]
    assert snippet(stdout) == with_id(snippet(case.stdout), stored["id"])
    check_files(hd, case, before, stored["id"])


def check_files(hd, case, before, new_id):
    for name, recorded in case.files.items():
        text = read(hd, name)
        if recorded.strip() == before[name].strip():
            assert text == before[name], f"{name} was not to be touched"
            continue
        assert parse_config(name, text) == with_id(parse_config(name, recorded), new_id)
        # Better than wrangler: the lines that were there still are.
        kept = [line for line in before[name].splitlines() if '"id"' not in line]
        assert [line for line in kept if line.rstrip(",") not in text] == []


def replay_on_terminal(hd, case, before):
    with Terminal(hd, *case.command, "--no-verify") as terminal:
        if "--update-config" not in case.command:
            terminal.expect("on your behalf?")
            terminal.type("y\n")
        terminal.expect("What binding name would you like to use?")
        terminal.type("my-db\n" if case.name == "cfg-tty-name" else "\n")
        assert terminal.wait() == case.code
    stored = hd.json("get", case.command[1])
    stored_as_sent(stored, case.bodies[0])
    check_files(hd, case, before, stored["id"])


@cases("update")
def test_update(hd, case):
    words = seed(hd, case.command)
    before = hd.json("get", words[1]) if words[1] != case.command[1] else None
    result = hd.run(*words, "--no-verify")
    check_plain(result)
    assert (result.returncode == 0) == expected_success(case), result.stderr
    if result.returncode:
        if before:
            assert hd.json("get", words[1]) == before
        return
    stored = hd.json("get", words[1])
    assert stored["id"] == before["id"] and stored["created_on"] == before["created_on"]
    stored_as_sent(stored, case.bodies[0])
    assert json.loads(result.stdout[result.stdout.index("{"):]) == stored, "it prints what it stored"
    unmentioned = set(before["origin"]) - set(case.bodies[0].get("origin", {}))
    if "service_id" not in case.bodies[0].get("origin", {}):
        assert all(stored["origin"][k] == before["origin"][k] for k in unmentioned), "the rest stays"
    password = case.bodies[0].get("origin", {}).get("password")
    if password:
        assert launch_document(hd, words[1])["origin"]["password"] == password


@cases("get")
def test_get(hd, case):
    for uuid in SEEDS:
        seed(hd, [uuid])
    words = [hd.json("get", SEEDS[w][0])["id"] if w in SEEDS else w for w in case.command]
    result = hd.run(*words, env=case.env)
    check_plain(result)
    assert (result.returncode == 0) == expected_success(case), result.stderr
    if result.returncode == 0 and case.code == 0:
        recorded = json.loads(case.stdout[case.stdout.index("{"):])
        answer = json.loads(result.stdout)
        varies = ("id", "created_on", "modified_on")
        assert {k: v for k, v in answer.items() if k not in varies} == \
               {k: v for k, v in recorded.items() if k not in varies}
        assert list(answer) == list(recorded), "the order of the keys too"
    elif result.returncode:
        assert "[code: 2006]" in result.stderr


@cases("delete")
def test_delete(hd, case):
    words = seed(hd, case.command)
    result = hd.run(*words)
    check_plain(result)
    assert (result.returncode == 0) == expected_success(case), result.stderr
    assert hd.json("list", "--json") == []


@cases("list")
def test_list(hd, case):
    names = [] if case.name == "list-empty" else [seed(hd, [uuid]) and SEEDS[uuid][0] for uuid in SEEDS]
    result = hd.run(*case.command)
    check_plain(result)
    assert result.returncode == 0
    recorded = [line for line in case.stdout.splitlines() if "│ id" in line]
    columns = [c.strip() for c in recorded[0].strip("│").split("│")] if recorded else []
    for column in columns:
        assert column in result.stdout
    for name in names:
        assert f"│ {name} " in result.stdout


def test_bare_and_unknown_commands(hd):
    by_name = {c.name: c for c in ALL}
    assert hd.run(*by_name["val-bare"].command).returncode == 0
    assert "create" in hd(*by_name["val-bare"].command)
    for name in ("val-unknown-sub", "planetscale"):
        result = hd.run(*by_name[name].command)
        assert result.returncode != 0 and "Unknown" in result.stderr


@pytest.fixture
def certificate(hd):
    openssl = shutil.which("openssl")
    hd.run("list")
    os.makedirs(hd.cwd, exist_ok=True)
    import subprocess
    subprocess.run([openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "k.pem", "-out", "c.pem",
                    "-subj", "/CN=x", "-days", "2"], cwd=hd.cwd, check=True, capture_output=True)
    return hd


def test_certificates(certificate):
    hd = certificate
    by_name = {c.name: c for c in ALL}
    uploaded = hd(*by_name["cert-upload-mtls"].command)
    assert "Success! Uploaded mTLS Certificate MyM" in uploaded and "Issuer: CN=x" in uploaded
    (stored,) = hd.json("cert", "list", "--json")
    assert stored["name"] == "MyM" and not stored["ca"] and "key" not in stored
    hd("cert", "upload", "certificate-authority", "--ca-cert", "c.pem", "--name", "my_cert")
    deleted = hd(*by_name["cert-delete-name"].command)
    assert re.search(r"Deleted certificate \S+ \(my_cert\) successfully", deleted)
    hd("cert", "delete", "--id", stored["id"])
    assert hd.json("cert", "list", "--json") == []
    hd("cert", "upload", "certificate-authority", "--ca-cert", "c.pem", "--name", "my_cert")
    with Terminal(hd, *by_name["cert-delete-tty"].command) as terminal:
        terminal.expect("Are you sure you want to delete certificate")
        terminal.type("\n")
        assert terminal.wait() == 0
    assert hd.json("cert", "list", "--json") == []


def test_every_case_is_replayed_or_explained():
    replayed = {"create", "update", "get", "delete", "list", "cert"}
    special = {"val-bare", "val-unknown-sub", "planetscale"}
    unknown = [c.name for c in ALL if c.command[:1] and c.command[0] not in replayed and c.name not in special]
    assert unknown == []
    assert set(DEVIATIONS) <= {c.name for c in ALL}, "docs/wrangler.md explains a case that does not exist"
    assert len(ALL) == 117
