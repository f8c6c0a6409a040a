"""A disk without room: what runs goes on, what would need room says so, and nothing is lost or left behind."""

import os
import subprocess

import pytest
from support.hyperdrive import Hyperdrive
from support.postgres import Postgres

APPLIED = """version = 1
[[configs]]
name = "{name}"
origin_connection_limit = 9
[configs.origin]
scheme = "postgres"
host = "127.0.0.1"
port = {port}
database = "shop"
user = "app"
password = "env:SHOP_PASSWORD"
"""

# In a mount namespace of its own: $1 a folder that gets a file system of 400 KiB, $2 the origin, $3 files to apply.
SCRIPT = """set -u
mount -t tmpfs -o size=400k tmpfs "$1" || exit 77
export HYPERDRIVE_HOME=$1/home
mkdir "$1/work"; cd "$1/work"; echo 'name = "w"' > wrangler.toml
tried() { echo "== $*"; hyperdrive "$@" 2>&1; echo "exit $?"; }
ask() { psql "$(hyperdrive url running)" -Atc "select 'answer ' || 6 * 7"; }
hyperdrive create idle --connection-string "$2" -q >/dev/null || exit 1
hyperdrive create running --connection-string "$2" -q >/dev/null || exit 1
hyperdrive start running -q >/dev/null || exit 1
head -c 1000000 /dev/zero > "$1/fill" 2>/dev/null
tried start idle
tried dev idle -- true
tried restart running
ask
tried restart running
ask
tried apply -f "$3/changed.toml"
tried apply -f "$3/new.toml"
tried bind idle
tried doctor
tried stop running
tried start running
cat wrangler.toml
echo "== what is left"; ls "$1/home/run" "$1/work"
rm "$1/fill"
echo "== with room again"
tried start running
ask
tried start idle
tried bind idle
tried apply -f "$3/changed.toml"
hyperdrive stop running -q; hyperdrive stop idle -q
hyperdrive list --json
"""


@pytest.fixture(scope="module")
def origin():
    with Postgres() as pg:
        yield pg


def sections(text: str) -> dict:
    """What each command printed; of those that were run again, the last."""
    return {part.split("\n", 1)[0]: part for part in text.split("== ")}


def test_without_room_nothing_is_lost_and_each_command_says_why(origin, tmp_path):
    for name, config in (("changed", "idle"), ("new", "new")):
        (tmp_path / f"{name}.toml").write_text(APPLIED.format(name=config, port=origin.port))
    with Hyperdrive() as hd:
        disk = os.path.join(hd.folder, "disk")
        os.mkdir(disk)
        result = subprocess.run(["unshare", "--mount", *([] if os.getuid() == 0 else ["--user", "--map-root-user"]), "sh", "-c",
                                 SCRIPT, "sh", disk, origin.url(), str(tmp_path)], text=True,
                                env=hd.env | {"SHOP_PASSWORD": origin.password}, capture_output=True)
    if result.returncode == 77 or "unshare" in result.stderr:
        pytest.skip("no mount namespaces here")
    assert result.returncode == 0, result.stdout + result.stderr
    full, again = result.stdout.split("== with room again\n")
    told = sections(full)
    for command in ("start idle", "dev idle -- true", "restart running", "start running", "bind idle"):
        assert "No space left on device" in told[command] and "exit 1" in told[command], told[command]
        assert "exit code" not in told[command], told[command]
    for command in ("apply -f " + str(tmp_path / f"{name}.toml") for name in ("changed", "new")):
        assert "is full" in told[command] and "exit 1" in told[command], told[command]
    assert "is full" in told["doctor"] and "exit 1" in told["doctor"], told["doctor"]
    assert full.count("answer 42") == 2, "the proxy that was to be replaced goes on"
    assert "exit 0" in told["stop running"] and 'name = "w"\n' in told["start running"]
    assert ".tmp" not in told["what is left"] and ".json" not in told["what is left"], told["what is left"]
    assert again.count("exit 0") == 4 and "answer 42" in again, again
    assert '"name": "idle"' in again and '"name": "running"' in again and '"origin_connection_limit": 9' in again, again
    assert "app-secret" not in result.stdout + result.stderr
