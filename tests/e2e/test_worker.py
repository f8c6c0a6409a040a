"""A real Worker under the real `wrangler dev`, started by `hyperdrive dev`: its queries go through the proxy."""

import concurrent.futures
import json
import os

import psycopg
import pytest
from support import node
from support.hyperdrive import Hyperdrive
from support.postgres import Postgres

WRANGLER_TOML = """name = "shop"
main = "src/index.js"
compatibility_date = "2026-01-01"
compatibility_flags = ["nodejs_compat"]
"""

WORKERS = {
    "pg": """
import { Client } from "pg";
export default {
  async fetch(request, env, ctx) {
    const category = new URL(request.url).searchParams.get("category") ?? "books";
    const client = new Client({ connectionString: env.HYPERDRIVE.connectionString });
    try {
      await client.connect();
      const { rows } = await client.query("SELECT * FROM products WHERE category = $1 ORDER BY id", [category]);
      return Response.json(rows);
    } catch (error) {
      return new Response(String(error), { status: 500 });
    } finally {
      ctx.waitUntil(client.end());
    }
  },
};
""",
    "postgres": """
import postgres from "postgres";
export default {
  async fetch(request, env, ctx) {
    const category = new URL(request.url).searchParams.get("category") ?? "books";
    const sql = postgres(env.HYPERDRIVE.connectionString, { max: 5, fetch_types: false });
    try {
      return Response.json(await sql`SELECT * FROM products WHERE category = ${category} ORDER BY id`);
    } catch (error) {
      return new Response(String(error), { status: 500 });
    } finally {
      ctx.waitUntil(sql.end());
    }
  },
};
""",
}


@pytest.fixture(scope="module")
def shop():
    with Postgres(settings={"max_connections": 20}) as pg:
        with open(os.path.join(os.path.dirname(__file__), "..", "support", "shop.sql")) as f:
            pg.psql(f.read())
        yield pg


@pytest.fixture(params=sorted(WORKERS))
def worker(request):
    folder = node.project({"wrangler.toml": WRANGLER_TOML, "src/index.js": WORKERS[request.param]})
    yield folder
    node.remove(folder)


def expected(shop, category="books"):
    return json.loads(shop.psql("select json_agg(p order by id) from products p "
                                f"where category = '{category}'"))


def same_rows(body: str, rows: list) -> bool:
    return [(r["id"], r["name"], r["price_cents"]) for r in json.loads(body)] == \
           [(r["id"], r["name"], r["price_cents"]) for r in rows]


def test_a_workers_query_comes_back_through_the_pool(shop, worker):
    with Hyperdrive(cwd=worker) as hd:
        hd("create", "shop-db", "--connection-string", shop.url(), "--origin-connection-limit", "5",
           "--binding", "HYPERDRIVE", "--update-config", "--caching-disabled")
        with node.WranglerDev(worker, ["hyperdrive", "dev", "--"], env=hd.env) as dev:
            status, body = dev.fetch("/?category=books")
            assert status == 200, body
            assert same_rows(body, expected(shop))
            assert hd.stats("shop-db")["queries"] >= 1
            with concurrent.futures.ThreadPoolExecutor(130) as pool:
                answers = list(pool.map(lambda n: dev.fetch(f"/?category=category-{1 + n % 50}"), range(130)))
            failures = [a for a in answers if a[0] != 200]
            assert not failures, f"{len(failures)} of 130 failed: {failures[0]}"
            assert all(same_rows(answers[n][1], expected(shop, f"category-{1 + n % 50}")) for n in (0, 1, 49, 129))
            stats = hd.stats("shop-db")
            assert stats["origin_connects"] <= 5 + 1, stats
            assert shop.backends() <= 5 + 1
            log = dev.log()
        assert "SELECT * FROM products WHERE category = $1" in log, "dev prints a line per query"


def test_a_worker_sees_hits_and_its_own_writes(shop, worker):
    with Hyperdrive(cwd=worker) as hd:
        hd("create", "shop-db", "--connection-string", shop.url(), "--invalidation", "writes",
           "--binding", "HYPERDRIVE", "--update-config")
        with node.WranglerDev(worker, ["hyperdrive", "dev", "--"], env=hd.env) as dev:
            for _ in range(4):
                status, body = dev.fetch("/?category=lamps")
                assert status == 200, body
            assert json.loads(body) == []
            cache = hd.stats("shop-db")["cache"]
            assert cache["hit"] >= 2 and cache["miss"] >= 1, cache
            with psycopg.connect(hd("url", "shop-db").strip(), autocommit=True) as db:
                db.execute("insert into products (name, category, price_cents, stock) values ('A Lamp', 'lamps', 100, 1)")
            status, body = dev.fetch("/?category=lamps")
            assert [row["name"] for row in json.loads(body)] == ["A Lamp"]
            assert "HIT" in dev.log() and "MISS" in dev.log()
        shop.psql("delete from products where category = 'lamps'")


def test_without_the_proxy_most_of_130_parallel_requests_fail(shop):
    """The reason for all this; also shows that the test above could fail."""
    folder = node.project({"wrangler.toml": WRANGLER_TOML + '[[hyperdrive]]\nbinding = "HYPERDRIVE"\nid = "0"\n'
                           f'localConnectionString = "{shop.url()}"\n', "src/index.js": WORKERS["pg"].replace(
                               "const { rows }", 'await client.query("select pg_sleep(5)"); const { rows }')})
    try:
        with node.WranglerDev(folder) as dev, concurrent.futures.ThreadPoolExecutor(130) as pool:
            answers = list(pool.map(lambda n: dev.fetch(), range(130)))
        assert sum(status != 200 for status, _ in answers) > 65
    finally:
        node.remove(folder)
