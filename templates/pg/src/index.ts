import { Client } from "pg";

interface Env {
  HYPERDRIVE: { connectionString: string };
}

export default {
  // One client a request: the pool makes connecting cheap, so nothing is kept between requests.
  async fetch(request: Request, env: Env, ctx: { waitUntil(p: Promise<unknown>): void }): Promise<Response> {
    const category = new URL(request.url).searchParams.get("category") ?? "books";
    const client = new Client({ connectionString: env.HYPERDRIVE.connectionString });
    await client.connect();
    try {
      const { rows } = await client.query("SELECT * FROM products WHERE category = $1 ORDER BY id", [category]);
      return Response.json(rows);
    } finally {
      ctx.waitUntil(client.end());
    }
  },
};
