"""`apply` and `export`: plans, idempotence, all or nothing, secrets by reference, concurrent applies."""

import json
import os
import subprocess

import pytest

from support.hyperdrive import BIN, Hyperdrive
from support.ports import free_port
from support.postgres import Postgres

SHOP = """
[[configs]]
name = "shop"
origin_connection_limit = 10
[configs.origin]
host = "db.example.com"
database = "shop"
user = "app"
password = "env:SHOP_PASSWORD"
[configs.caching]
max_age = 30
[configs.local]
idle_timeout = "5m"
cache_rules = ["orders:max-age=5"]
"""
SECRET = "Apply-S3cret-value"


@pytest.fixture
def hd():
    with Hyperdrive() as installation:
        installation.env["SHOP_PASSWORD"] = SECRET
        yield installation


def write(hd, name, text):
    path = os.path.join(hd.cwd, name)
    with open(path, "w") as f:
        f.write(text)
    return path


def apply(hd, text, *flags, name="hd.toml", **more):
    """Without connecting: the declared hosts do not exist."""
    return hd.run("apply", "-f", write(hd, name, text), "--no-verify", *flags, **more)


def test_apply_creates_changes_and_then_has_nothing_to_do(hd):
    first = apply(hd, SHOP, "--dry-run")
    assert first.returncode == 2, first.stderr
    assert "create shop" in first.stdout
    assert hd.json("list", "--json") == []
    assert apply(hd, SHOP).returncode == 0
    config = hd.json("get", "shop", "--all")
    assert config["origin"]["port"] == 5432
    assert config["caching"]["max_age"] == 30
    assert config["local"]["idle_timeout"]["value"] == "5m"
    assert config["local"]["cache_rules"]["value"] == ["orders:max-age=5"]
    again = apply(hd, SHOP, "--dry-run")
    assert again.returncode == 0, again.stdout
    changed = apply(hd, SHOP.replace("max_age = 30", "max_age = 5"), "--dry-run", "--json")
    assert changed.returncode == 2
    assert json.loads(changed.stdout)["update"] == [
        {"name": "shop", "differences": [{"field": "caching.max_age", "before": "30", "after": "5"}]}]
    assert apply(hd, SHOP.replace("max_age = 30", "max_age = 5")).returncode == 0
    after = hd.json("get", "shop", "--all")
    assert after["caching"]["max_age"] == 5
    assert (after["id"], after["local"]["local_port"]) == (config["id"], config["local"]["local_port"])


def test_drift_is_shown_and_undone(hd):
    apply(hd, SHOP)
    hd("update", "shop", "--max-age", "7", "--workers", "3", "--no-verify")
    drift = apply(hd, SHOP, "--dry-run")
    assert drift.returncode == 2
    assert "caching.max_age: 7 → 30" in drift.stdout
    assert "local.workers: 3 → (default)" in drift.stdout
    assert apply(hd, SHOP).returncode == 0
    assert apply(hd, SHOP, "--dry-run").returncode == 0


def test_prune_deletes_only_when_asked(hd):
    hd("create", "old", "--connection-string", "postgres://u:p@h:5432/d", "--no-verify")
    assert apply(hd, SHOP).returncode == 0
    assert {c["name"] for c in hd.json("list", "--json")} == {"old", "shop"}
    plan = apply(hd, SHOP, "--prune", "--dry-run")
    assert plan.returncode == 2 and "delete old" in plan.stdout
    assert apply(hd, SHOP, "--prune").returncode == 0
    assert [c["name"] for c in hd.json("list", "--json")] == ["shop"]


def test_what_the_file_does_not_name_is_counted_and_left_alone(hd):
    for name in ("old", "older"):
        hd("create", name, "--connection-string", "postgres://u:p@h:5432/d", "--no-verify")
    for flags in (("--dry-run",), (), ()):
        assert "2 more are not in the file; --prune deletes them." in apply(hd, SHOP, *flags).stdout
    assert json.loads(apply(hd, SHOP, "--json").stdout)["not_declared"] == 2
    assert "not in the file" not in apply(hd, SHOP, "--prune").stdout
    assert "not in the file" not in apply(hd, SHOP).stdout


def test_a_dry_run_plans_the_deletion_of_a_running_one_and_apply_refuses_it(hd):
    hd("create", "old", "--connection-string", "postgres://u:p@127.0.0.1:1/d", "--no-verify")
    hd("start", "old")
    plan = apply(hd, SHOP, "--prune", "--dry-run")
    assert plan.returncode == 2 and "- delete old" in plan.stdout and "its proxy is running" in plan.stderr
    refused = apply(hd, SHOP, "--prune")
    assert refused.returncode == 1 and "hyperdrive stop old" in refused.stderr
    assert [c["name"] for c in hd.json("list", "--json")] == ["old"], "all or nothing"
    hd("stop", "old")
    assert apply(hd, SHOP, "--prune").returncode == 0


def test_export_applies_without_a_difference_and_holds_no_secret(hd):
    apply(hd, SHOP)
    hd("create", "my", "--connection-string", f"mysql://u:{SECRET}@h/d", "--sslmode", "VERIFY_IDENTITY",
       "--no-verify")
    for flags, name in ((), "all.toml"), (("--json",), "all.json"):
        text = hd("export", *flags)
        assert SECRET not in text
        result = apply(hd, text, "--dry-run", "--prune", name=name)
        assert result.returncode == 0, result.stdout + result.stderr


def test_all_or_nothing(hd):
    broken = SHOP + SHOP.replace('"shop"', '"second"', 1).replace("env:SHOP_PASSWORD", "env:NOT_SET")
    result = apply(hd, broken)
    assert result.returncode == 64
    assert "NOT_SET" in result.stderr
    # The second one only fails when it is stored: its port belongs to another config.
    hd("create", "holder", "--connection-string", "postgres://u:p@h:5432/d", "--local-port", "12555", "--no-verify")
    clash = SHOP + SHOP.replace('"shop"', '"second"', 1).replace("[configs.local]", "[configs.local]\nlocal_port = 12555")
    result = apply(hd, clash)
    assert result.returncode == 1, result.stdout
    assert "12555" in result.stderr
    assert [c["name"] for c in hd.json("list", "--json")] == ["holder"]


def test_a_password_in_the_file_is_refused_and_not_repeated(hd):
    result = apply(hd, SHOP.replace("env:SHOP_PASSWORD", SECRET))
    assert result.returncode == 64
    assert SECRET not in result.stdout + result.stderr
    assert "env:NAME" in result.stderr


def test_a_broken_file_is_told_by_line_and_column(hd):
    result = apply(hd, SHOP + "\nx = [1,\n")
    assert result.returncode == 64
    assert "line" in result.stderr and "column" in result.stderr
    assert hd.json("list", "--json") == []


def test_concurrent_applies_end_in_one_of_the_declared_states(hd):
    files = [write(hd, f"{age}.toml", "".join(
        SHOP.replace('"shop"', f'"c{i}"', 1).replace("max_age = 30", f"max_age = {age}") for i in range(10)))
        for age in (1, 2, 3)]
    running = [subprocess.Popen([os.path.join(BIN, "hyperdrive"), "apply", "-f", file, "--quiet", "--no-verify"], env=hd.env,
                                cwd=hd.cwd, stderr=subprocess.PIPE) for file in files * 2]
    for process in running:
        _, errors = process.communicate(timeout=240)
        assert process.returncode == 0, errors
    configs = hd.json("list", "--json")
    assert len(configs) == 10
    assert len({c["caching"]["max_age"] for c in configs}) == 1


@pytest.fixture(scope="module")
def pg():
    with Postgres() as postgres:
        yield postgres


def declared(pg, name, **origin):
    origin = {"host": "127.0.0.1", "port": pg.port, "database": "shop", "user": "app", "password": "env:APP_PASSWORD"} | origin
    values = ", ".join(f"{key} = {json.dumps(value)}" for key, value in origin.items())
    return f'[[configs]]\nname = "{name}"\norigin = {{ {values} }}\n'


def test_apply_connects_to_new_and_changed_origins_and_stores_all_or_nothing(hd, pg):
    hd.env["APP_PASSWORD"] = pg.password

    def run(*texts):
        return hd.run("apply", "-f", write(hd, "hd.toml", "".join(texts)))

    closed = free_port()
    result = run(declared(pg, "good"), declared(pg, "closed", port=closed), declared(pg, "nobody", database="nowhere"))
    assert result.returncode == 1
    assert "closed: " in result.stderr and "[code: 2011]" in result.stderr
    assert "nobody: " in result.stderr, "all that failed are told at once"
    assert pg.password not in result.stdout + result.stderr
    assert hd.json("list", "--json") == []

    assert run(declared(pg, "good")).returncode == 0
    before = hd.json("get", "good")
    assert run(declared(pg, "good", port=closed), declared(pg, "second")).returncode == 1
    assert [hd.json("get", "good")] == hd.json("list", "--json") == [before]

    # What does not touch the origin needs no origin; what is as declared is not tried either.
    hd("update", "good", "--origin-host", "127.0.0.1", "--origin-port", str(closed), "--no-verify")
    still = declared(pg, "good", port=closed) + "caching = { max_age = 3 }\n"
    assert run(still).returncode == 0
    assert hd.json("get", "good")["caching"]["max_age"] == 3
