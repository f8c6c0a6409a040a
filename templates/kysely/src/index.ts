import { type Generated, Kysely, PostgresDialect } from "kysely";
import { Pool } from "pg";

interface Env {
  HYPERDRIVE: { connectionString: string };
}

interface Database {
  products: { id: Generated<number>; name: string; category: string; price_cents: number };
}

export default {
  async fetch(request: Request, env: Env, ctx: { waitUntil(p: Promise<unknown>): void }): Promise<Response> {
    const category = new URL(request.url).searchParams.get("category") ?? "books";
    const pool = new Pool({ connectionString: env.HYPERDRIVE.connectionString, max: 5 });
    const db = new Kysely<Database>({ dialect: new PostgresDialect({ pool }) });
    try {
      return Response.json(await db.selectFrom("products").selectAll().where("category", "=", category).orderBy("id").execute());
    } finally {
      ctx.waitUntil(db.destroy());
    }
  },
};
