"""The wrangler files of tests/integration/wrangler_files under `bind` and `unbind`: what goes in comes back."""

import json
import os
import shutil
import stat
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.hyperdrive import BIN, Hyperdrive

CORPUS = os.path.join(os.path.dirname(__file__), "wrangler_files")
FILES = sorted(f for f in os.listdir(CORPUS) if not f.startswith("."))
GOOD = [f for f in FILES if not f.startswith("broken-")]
BROKEN = [f for f in FILES if f.startswith("broken-")]


@pytest.fixture(scope="module")
def hd():
    with Hyperdrive() as hyperdrive:
        hyperdrive.id = hyperdrive.create("shop", "postgresql://u:p@db.example.com/d", "--no-verify")
        hyperdrive.other = hyperdrive.create("other", "postgresql://u:p@db.example.com/d", "--no-verify")
        yield hyperdrive


@pytest.fixture
def folder():
    path = tempfile.mkdtemp(prefix="hd-file-", dir="/tmp")
    yield path
    shutil.rmtree(path)


def put(folder, name) -> str:
    path = os.path.join(folder, "wrangler." + name.rsplit(".", 1)[1])
    shutil.copyfile(os.path.join(CORPUS, name), path)
    return path


def read(path) -> bytes:
    with open(path, "rb") as f:
        return f.read()


def test_the_corpus_is_large_enough():
    assert len(FILES) >= 60 and len(BROKEN) >= 10


@pytest.mark.parametrize("name", GOOD)
def test_bind_and_unbind_give_back_the_original(hd, folder, name):
    path = put(folder, name)
    original = read(path)
    for environment in ([], ["-e", "staging"]):
        hd("bind", "shop", *environment, cwd=folder)
        once = read(path)
        bindings = hd.json("bindings", "--json", cwd=folder)
        assert hd.id in json.dumps(bindings)
        hd("bind", "other", "--binding", "SECOND", *environment, cwd=folder)
        hd("bind", "other", *environment, cwd=folder)
        twice = read(path)
        assert twice.count(hd.other.encode()) == 2 and hd.id.encode() not in twice
        hd("unbind", "SECOND", *environment, cwd=folder)
        assert read(path) == once.replace(hd.id.encode(), hd.other.encode()), "only the id was replaced"
        hd("unbind", "HYPERDRIVE", *environment, cwd=folder)
        assert read(path) == original
    assert os.listdir(folder) == [os.path.basename(path)], "nothing else is left behind"


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_reported_and_left_alone(hd, folder, name):
    path = put(folder, name)
    original, before = read(path), os.stat(path)
    result = hd.run("bind", "shop", cwd=folder)
    assert result.returncode == 1
    assert f"{os.path.basename(path)}:" in result.stderr and "nothing was changed" in result.stderr
    line = int(result.stderr.split(os.path.basename(path) + ":")[1].split(":")[0])
    assert 1 <= line <= original.count(b"\n") + 1
    made = hd.run("create", "never", "--connection-string", "postgresql://u:p@h/d", "--no-verify", "--binding", "X",
                  cwd=folder)
    assert made.returncode == 1 and hd.run("get", "never").returncode == 1, "nothing is created"
    assert read(path) == original and os.stat(path).st_mtime_ns == before.st_mtime_ns


def test_mode_and_link_stay(hd, folder):
    real = os.path.join(folder, "real.jsonc")
    with open(real, "w") as f:
        f.write('{\n  "name": "demo"\n}\n')
    os.chmod(real, 0o640)
    os.symlink("real.jsonc", os.path.join(folder, "wrangler.jsonc"))
    hd("bind", "shop", cwd=folder)
    assert os.path.islink(os.path.join(folder, "wrangler.jsonc"))
    assert stat.S_IMODE(os.stat(real).st_mode) == 0o640 and hd.id in read(real).decode()


def test_names_become_identifiers_and_the_change_is_said(hd, folder):
    put(folder, "plain.toml")
    result = hd.run("bind", "shop", "--binding", "my-binding", cwd=folder)
    assert result.returncode == 0 and "my_binding" in result.stdout + result.stderr
    assert 'binding = "my_binding"' in read(os.path.join(folder, "wrangler.toml")).decode()


def test_parallel_binds_all_arrive(hd, folder):
    path = put(folder, "plain.toml")
    argv = [os.path.join(BIN, "hyperdrive"), "bind", "shop", "--binding"]
    with ThreadPoolExecutor(12) as pool:
        codes = list(pool.map(lambda n: subprocess.run([*argv, f"B{n}"], env=hd.env, cwd=folder,
                                                       capture_output=True).returncode, range(12)))
    assert codes == [0] * 12
    assert read(path).decode().count("[[hyperdrive]]") == 12


def test_hard_links_stay_links(hd, folder):
    path, other = put(folder, "plain.toml"), os.path.join(folder, "other-name.toml")
    original = read(path)
    os.link(path, other)
    os.chmod(path, 0o640)
    hd("bind", "shop", cwd=folder)
    assert os.path.samefile(path, other) and hd.id in read(other).decode()
    hd("unbind", "HYPERDRIVE", cwd=folder)
    assert os.path.samefile(path, other) and read(other) == original
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o640
    assert sorted(os.listdir(folder)) == sorted(["wrangler.toml", "other-name.toml"])


def test_a_full_disk_changes_nothing(hd, folder):
    """A file-size limit stands in for the disk: writing ends with an error in the same places."""
    for link in (False, True):
        path = put(folder, "plain.toml")
        if link:
            os.link(path, os.path.join(folder, "other-name.toml"))
        with open(path, "ab") as f:
            f.write(b"# " + b"x" * 300_000 + b"\n")
        original = read(path)
        result = subprocess.run(["bash", "-c", f"trap '' XFSZ; ulimit -f {(len(original) + 20) // 1024}; exec \"$@\"", "-",
                                 os.path.join(BIN, "hyperdrive"), "bind", "shop"],
                                env=hd.env, cwd=folder, capture_output=True, text=True)
        assert result.returncode == 1 and "wrangler.toml" in result.stderr, result.stderr
        assert read(path) == original
        assert not [name for name in os.listdir(folder) if name.startswith(".hyperdrive")]


def test_two_bindings_of_one_name_are_refused(hd, folder):
    path = os.path.join(folder, "wrangler.jsonc")
    text = '{"hyperdrive":[{"binding":"A","id":"1"},{"binding":"A","id":"2"}]}'
    with open(path, "w") as f:
        f.write(text)
    result = hd.run("bind", "shop", cwd=folder)
    assert result.returncode == 1 and "line 1: A assigned to multiple Hyperdrive Config bindings" in result.stderr
    assert read(path).decode() == text


@pytest.mark.parametrize("name, text", [
    ("wrangler.toml", 'name = "x"\n[env.staging]\n'), ("wrangler.jsonc", '{"env":{"staging":{}}}')])
def test_create_refuses_an_environment_that_the_file_lacks(hd, folder, name, text):
    with open(os.path.join(folder, name), "w") as f:
        f.write(text)
    flags = ["create", "new", "--connection-string", "postgres://u:p@h/d", "--no-verify", "--update-config"]
    for how in (["-e", "stagign"], []):
        result = hd.run(*flags, *how, cwd=folder, env={} if how else {"CLOUDFLARE_ENV": "stagign"})
        assert result.returncode == 64 and "Did you mean 'staging'?" in result.stderr
    assert hd.run("get", "new").returncode == 1, "nothing is created"
    assert read(os.path.join(folder, name)).decode() == text
    hd(*flags, "-e", "staging", cwd=folder)
    hd("delete", "new", "--yes", cwd=folder)


@pytest.mark.parametrize("name, text", [
    ("wrangler.toml", 'name = "x"\n[env.staging]\n[env.production]\n'),
    ("wrangler.jsonc", '{"env":{"staging":{}, "production": {}}}')])
def test_a_misspelt_environment_is_told_and_not_made(hd, folder, name, text):
    with open(os.path.join(folder, name), "w") as f:
        f.write(text)
    for words in (["bind", "shop"], ["unbind", "shop"], ["bindings"], ["env"], ["dev", "--", "true"]):
        for how, env in ((["-e", "stagign"], {}), ([], {"CLOUDFLARE_ENV": "stagign"})):
            result = hd.run(words[0], *how, *words[1:], cwd=folder, env=env)
            assert result.returncode == 64, (words, result.stderr)
            assert f"{name} has no environment named 'stagign'" in result.stderr
            assert "It has: staging, production. Did you mean 'staging'?" in result.stderr
    assert read(os.path.join(folder, name)).decode() == text


@pytest.mark.parametrize("name, text", [("wrangler.toml", 'name = "x"\n'), ("wrangler.jsonc", '{\n  "name": "x"\n}\n')])
def test_a_file_without_environments_gets_its_first_one(hd, folder, name, text):
    with open(os.path.join(folder, name), "w") as f:
        f.write(text)
    result = hd.run("bind", "shop", "-e", "staging", cwd=folder)
    assert result.returncode == 0 and "had no environment: staging is its first" in result.stderr
    assert [b["environment"] for b in hd.json("bindings", "--json", cwd=folder)] == ["staging"]
    hd("unbind", "HYPERDRIVE", "-e", "staging", cwd=folder)
    assert read(os.path.join(folder, name)).decode() == text


def test_a_control_character_in_a_string_is_refused_as_by_wrangler(hd, folder):
    path = os.path.join(folder, "wrangler.jsonc")
    with open(path, "w") as f:
        f.write('{\n  "vars": { "A": "b\tc" }\n}\n')
    result = hd.run("bind", "shop", cwd=folder)
    assert result.returncode == 1 and "wrangler.jsonc:2:" in result.stderr
    assert read(path) == b'{\n  "vars": { "A": "b\tc" }\n}\n'
