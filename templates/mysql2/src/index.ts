import { createConnection } from "mysql2/promise";

interface Env {
  HYPERDRIVE: { host: string; port: number; user: string; password: string; database: string };
}

export default {
  async fetch(request: Request, env: Env, ctx: { waitUntil(p: Promise<unknown>): void }): Promise<Response> {
    const category = new URL(request.url).searchParams.get("category") ?? "books";
    const { host, port, user, password, database } = env.HYPERDRIVE;
    // disableEval: Workers forbid code made from strings.
    const connection = await createConnection({ host, port, user, password, database, disableEval: true });
    try {
      const [rows] = await connection.query("SELECT * FROM products WHERE category = ? ORDER BY id", [category]);
      return Response.json(rows);
    } finally {
      ctx.waitUntil(connection.end());
    }
  },
};
