import postgres from "postgres";

interface Env {
  HYPERDRIVE: { connectionString: string };
}

export default {
  async fetch(request: Request, env: Env, ctx: { waitUntil(p: Promise<unknown>): void }): Promise<Response> {
    const category = new URL(request.url).searchParams.get("category") ?? "books";
    // fetch_types: false saves a look-up in the system catalog on every connection.
    const sql = postgres(env.HYPERDRIVE.connectionString, { max: 5, fetch_types: false });
    try {
      return Response.json(await sql`SELECT * FROM products WHERE category = ${category} ORDER BY id`);
    } finally {
      ctx.waitUntil(sql.end());
    }
  },
};
