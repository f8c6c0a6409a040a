// Prisma 7 over its pg adapter. The client is generated from prisma/schema.prisma before this runs.
import { createRequire } from "node:module";
import { PrismaPg } from "@prisma/adapter-pg";
import { assert, rejects, steps, together, url } from "./common.mjs";

const { PrismaClient } = createRequire(import.meta.url)("./generated/prisma");
const db = new PrismaClient({ adapter: new PrismaPg({ connectionString: url, max: 5 }) });

await steps({
  table: () => db.$executeRawUnsafe(`create table if not exists matrix_prisma (id serial primary key, name text not null unique,
    amount int, extra jsonb, made timestamp(3) not null default now())`),
  create: async () => {
    await db.$executeRawUnsafe("truncate matrix_prisma restart identity");
    const row = await db.matrixPrisma.create({ data: { name: "first", amount: 3, extra: { a: [1] } } });
    assert.deepEqual([row.id, row.amount, row.extra], [1, 3, { a: [1] }]);
    await rejects(db.matrixPrisma.create({ data: { name: "first" } }), "P2002");
  },
  transaction: async () => {
    await db.$transaction(async (tx) => {
      await tx.matrixPrisma.update({ where: { id: 1 }, data: { amount: 4 } });
      throw new Error("back");
    }).catch((e) => assert.equal(e.message, "back"));
    await db.$transaction([db.matrixPrisma.update({ where: { id: 1 }, data: { amount: 5 } }), db.matrixPrisma.count()]);
    assert.equal((await db.matrixPrisma.findUnique({ where: { id: 1 } })).amount, 5);
  },
  reads: async () => {
    const answers = await together(60, (n) => db.matrixPrisma.findMany({ where: { amount: { gt: n % 10 } }, take: 5, skip: 0 }));
    answers.forEach((rows, n) => assert.equal(rows.length, n % 10 < 5 ? 1 : 0));
    const [{ v }] = await db.$queryRaw`select ${41}::int + 1 as v`;
    assert.equal(v, 42);
  },
  end: () => db.$disconnect(),
});
