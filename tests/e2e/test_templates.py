"""Every starter of `hyperdrive init` runs at once: its README's commands, under the real wrangler, against a real server."""

import json
import os
import subprocess

import pytest
from support import node
from support.hyperdrive import Hyperdrive
from support.mariadb import MariaDB
from support.postgres import Postgres

POSTGRES_STARTERS = ["pg", "postgres.js", "drizzle", "kysely", "prisma"]
MYSQL_STARTERS = ["mysql2", "drizzle-mysql"]


@pytest.fixture(scope="module")
def origin():
    with Postgres() as pg:
        yield pg


def generate_prisma(folder):
    env = node.environment() | {"PRISMA_SCHEMA_ENGINE_BINARY": "/bin/true", "CHECKPOINT_DISABLE": "1"}
    result = subprocess.run(["prisma", "generate"], cwd=folder, env=env, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def answers_under_wrangler_dev(template: str, url: str, load):
    """Follows the starter's README; `load` gets its schema.sql."""
    with Hyperdrive() as hd:
        folder = os.path.join(hd.cwd, "my-worker")
        hd("init", template, "my-worker")
        os.symlink(node.MODULES, os.path.join(folder, "node_modules"))
        if template == "prisma":
            generate_prisma(folder)
        with open(os.path.join(folder, "schema.sql")) as f:
            load(f.read())
        hd("create", "my-worker-db", "--connection-string", url, cwd=folder)
        hd("bind", "my-worker-db", cwd=folder)
        with open(os.path.join(folder, "package.json")) as f:
            assert json.load(f)["scripts"]["dev"] == "hyperdrive dev -- wrangler dev"
        with node.WranglerDev(folder, ["hyperdrive", "dev", "--"], env=hd.env) as dev:
            status, body = dev.fetch("/?category=books")
            assert status == 200, body
            assert sorted(row["name"] for row in json.loads(body)) == ["A Small Book", "A Tall Book"]
            assert hd.stats("my-worker-db")["queries"] >= 1


@pytest.mark.parametrize("template", POSTGRES_STARTERS)
def test_a_postgres_starter_answers_under_wrangler_dev(origin, template):
    answers_under_wrangler_dev(template, origin.url(), origin.psql)


@pytest.mark.parametrize("template", MYSQL_STARTERS)
def test_a_mysql_starter_answers_under_wrangler_dev(template):
    with MariaDB() as db:
        answers_under_wrangler_dev(template, db.url(), db.sql)
