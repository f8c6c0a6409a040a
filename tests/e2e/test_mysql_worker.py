"""A real Worker with mysql2 (`disableEval`) under the real `wrangler dev`: its queries go through the MySQL proxy."""

import concurrent.futures
import json
import os

import pytest
from support import node
from support.hyperdrive import Hyperdrive
from support.mariadb import MariaDB

WRANGLER_TOML = """name = "shop"
main = "src/index.js"
compatibility_date = "2026-01-01"
compatibility_flags = ["nodejs_compat"]
"""

WORKER = """
import { createConnection } from "mysql2/promise";
export default {
  async fetch(request, env, ctx) {
    const url = new URL(request.url);
    const category = url.searchParams.get("category") ?? "books";
    const { host, port, user, password, database } = env.HYPERDRIVE;
    let connection;
    try {
      connection = await createConnection({ host, port, user, password, database, disableEval: true });
      const how = url.pathname === "/execute" ? "execute" : "query";
      const [rows] = await connection[how]("SELECT id, name, price_cents FROM products WHERE category = ? ORDER BY id", [category]);
      return Response.json(rows);
    } catch (error) {
      return new Response(String(error), { status: 500 });
    } finally {
      if (connection) ctx.waitUntil(connection.end());
    }
  },
};
"""


@pytest.fixture(scope="module")
def shop():
    with MariaDB({"max_connections": "20"}) as db:
        with open(os.path.join(os.path.dirname(__file__), "..", "support", "shop-mysql.sql")) as f:
            db.sql(f.read())
        yield db


def expected(shop, category):
    lines = shop.sql(f"select id, name, price_cents from products where category = '{category}' order by id").splitlines()
    return [(int(i), name, int(price)) for i, name, price in (line.split("\t") for line in lines)]


def rows_of(body):
    return [(row["id"], row["name"], row["price_cents"]) for row in json.loads(body)]


def test_a_workers_query_comes_back_through_the_pool(shop):
    folder = node.project({"wrangler.toml": WRANGLER_TOML, "src/index.js": WORKER})
    try:
        with Hyperdrive(cwd=folder) as hd:
            hd("create", "shop-db", "--connection-string", shop.url(), "--origin-connection-limit", "5",
               "--binding", "HYPERDRIVE", "--update-config", "--caching-disabled")
            with node.WranglerDev(folder, ["hyperdrive", "dev", "--"], env=hd.env) as dev:
                for path in ("/", "/execute"):
                    status, body = dev.fetch(f"{path}?category=books")
                    assert status == 200, body
                    assert rows_of(body) == expected(shop, "books")
                with concurrent.futures.ThreadPoolExecutor(130) as pool:
                    answers = list(pool.map(
                        lambda n: dev.fetch(f"/{'execute' if n % 2 else ''}?category=category-{1 + n % 50}"), range(130)))
                failures = [a for a in answers if a[0] != 200]
                assert not failures, f"{len(failures)} of 130 failed: {failures[0]}"
                assert all(rows_of(answers[n][1]) == expected(shop, f"category-{1 + n % 50}") for n in (0, 1, 49, 129))
                assert shop.connections() <= 5 + 1
                log = dev.log()
            assert "FROM products WHERE category" in log, "dev prints a line per query"
    finally:
        node.remove(folder)
