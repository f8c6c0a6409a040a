"""`bind` and `unbind` on generated wrangler files, judged by the real wrangler's own reader."""

import copy
import json
import os
import random
import shutil
import tempfile

import pytest
from support import node, wrangler_files
from support.hyperdrive import Hyperdrive

SEEDS = int(os.environ.get("HYPERDRIVE_SEEDS", "60"))
FIRST = int(os.environ.get("HYPERDRIVE_FIRST_SEED", "0"))


class File:
    """One generated file, and every state of it that wrangler shall read in the end."""

    def __init__(self, hd, folder, seed):
        kind = "toml" if seed % 2 else random.Random(seed).choice(["json", "jsonc"])
        text, self.bindings = (wrangler_files.toml if kind == "toml" else wrangler_files.jsonc)(seed)
        self.hd, self.seed, self.original = hd, seed, text.encode()
        self.folder = os.path.join(folder, str(seed))
        self.path = os.path.join(self.folder, "wrangler." + kind)
        os.makedirs(self.folder)
        self.restore()
        self.expected = [(self.keep(), lambda config: None)]

    def read(self) -> bytes:
        with open(self.path, "rb") as f:
            return f.read()

    def restore(self):
        with open(self.path, "wb") as f:
            f.write(self.original)

    def keep(self) -> str:
        """A copy of the file as it is."""
        folder = tempfile.mkdtemp(dir=self.folder)
        return shutil.copy(self.path, folder)

    def run(self, *words):
        result = self.hd.run(*words, cwd=self.folder)
        assert result.returncode == 0, f"seed {self.seed}: {' '.join(words)}: {result.stderr}"

    def try_all(self):
        for environment, names in self.bindings.items():
            flags = ["-e", environment] if environment else []
            self.run("bind", "shop", "--binding", "NEW", *flags)
            self.expected.append((self.keep(), added(environment, self.hd.shop)))
            self.run("unbind", "NEW", *flags)
            assert self.read() == self.original, f"seed {self.seed}: unbind gives the original back"
            for name in names:
                self.run("bind", "shop", "--binding", name, *flags)
                self.expected.append((self.keep(), replaced(environment, name, self.hd.shop)))
                at = self.read().index(self.hd.shop.encode())
                assert self.read()[:at] == self.original[:at], f"seed {self.seed}: only the id changes"
                assert self.read()[at + 32:] == self.original[at + 32:], f"seed {self.seed}: only the id changes"
                self.restore()
                self.run("unbind", name, *flags)
                self.expected.append((self.keep(), removed(environment, name)))
                self.restore()


def scope(config, environment):
    return config.setdefault("env", {}).setdefault(environment, {}) if environment else config


def added(environment, identifier):
    return lambda config: scope(config, environment).setdefault("hyperdrive", []).append({"binding": "NEW", "id": identifier})


def replaced(environment, name, identifier):
    def edit(config):
        for binding in scope(config, environment)["hyperdrive"]:
            if binding["binding"] == name:
                binding["id"] = identifier
    return edit


def removed(environment, name):
    def edit(config):
        bindings = scope(config, environment)["hyperdrive"]
        bindings[:] = [each for each in bindings if each["binding"] != name]
    return edit


def without_empty(config):
    """An array that lost its last binding may go with it."""
    for each in (config, *config.get("env", {}).values()):
        if each.get("hyperdrive") == []:
            del each["hyperdrive"]
    return config


@pytest.fixture
def folder():
    path = tempfile.mkdtemp(prefix="hd-generated-", dir="/tmp")
    yield path
    shutil.rmtree(path)


def test_wrangler_reads_exactly_the_expected_bindings_and_unbind_gives_the_original_back(folder):
    with Hyperdrive() as hd:
        hd.shop = hd.create("shop", "postgresql://u:p@db.example.com/d", "--no-verify")
        files = [File(hd, folder, seed) for seed in range(FIRST, FIRST + SEEDS)]
        for file in files:
            file.try_all()
    with open(os.path.join(folder, "list.json"), "w") as f:
        json.dump([path for file in files for path, _ in file.expected], f)
    node.run("read_config.mjs", os.path.join(folder, "list.json"), os.path.join(folder, "out.json"))
    with open(os.path.join(folder, "out.json")) as f:
        read = json.load(f)
    for file in files:
        original = read[file.expected[0][0]]
        assert isinstance(original, dict), f"seed {file.seed} is no file for wrangler: {original}"
        for path, edit in file.expected:
            wanted = copy.deepcopy(original)
            edit(wanted)
            assert isinstance(read[path], dict), f"seed {file.seed}: {read[path]}"
            assert without_empty(read[path]) == without_empty(wanted), f"seed {file.seed}: {path}"
