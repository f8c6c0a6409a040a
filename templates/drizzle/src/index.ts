import { asc, eq } from "drizzle-orm";
import { drizzle } from "drizzle-orm/node-postgres";
import { Client } from "pg";
import { products } from "./schema";

interface Env {
  HYPERDRIVE: { connectionString: string };
}

export default {
  async fetch(request: Request, env: Env, ctx: { waitUntil(p: Promise<unknown>): void }): Promise<Response> {
    const category = new URL(request.url).searchParams.get("category") ?? "books";
    const client = new Client({ connectionString: env.HYPERDRIVE.connectionString });
    await client.connect();
    try {
      const db = drizzle(client);
      return Response.json(await db.select().from(products).where(eq(products.category, category)).orderBy(asc(products.id)));
    } finally {
      ctx.waitUntil(client.end());
    }
  },
};
