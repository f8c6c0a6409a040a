import { asc, eq } from "drizzle-orm";
import { drizzle } from "drizzle-orm/mysql2";
import { createConnection } from "mysql2";
import { products } from "./schema";

interface Env {
  HYPERDRIVE: { host: string; port: number; user: string; password: string; database: string };
}

export default {
  async fetch(request: Request, env: Env, ctx: { waitUntil(p: Promise<unknown>): void }): Promise<Response> {
    const category = new URL(request.url).searchParams.get("category") ?? "books";
    const { host, port, user, password, database } = env.HYPERDRIVE;
    // disableEval: Workers forbid code made from strings.
    const connection = createConnection({ host, port, user, password, database, disableEval: true });
    try {
      const db = drizzle(connection);
      return Response.json(await db.select().from(products).where(eq(products.category, category)).orderBy(asc(products.id)));
    } finally {
      ctx.waitUntil(new Promise((done) => connection.end(done)));
    }
  },
};
