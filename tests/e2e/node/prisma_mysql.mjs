// Prisma 7 over its mariadb adapter. The client is generated from prisma/mysql.prisma before this runs.
import { createRequire } from "node:module";
import { PrismaMariaDb } from "@prisma/adapter-mariadb";
import { assert, rejects, steps, together } from "./common.mjs";
import { login } from "./common_mysql.mjs";

const { PrismaClient } = createRequire(import.meta.url)("./generated/prisma-mysql");
const db = new PrismaClient({ adapter: new PrismaMariaDb({ ...login, connectionLimit: 5 }) });

await steps({
  table: () => db.$executeRawUnsafe(`create or replace table matrix_prisma (id int auto_increment primary key,
    name varchar(191) not null unique, amount int, extra json, made datetime(3) not null default current_timestamp(3))`),
  create: async () => {
    const row = await db.matrixPrisma.create({ data: { name: "first", amount: 3, extra: { a: [1] } } });
    assert.deepEqual([row.id, row.amount, row.extra], [1, 3, { a: [1] }]);
    await rejects(db.matrixPrisma.create({ data: { name: "first" } }), "P2002");
    assert.equal((await db.matrixPrisma.createMany({ data: [{ name: "x1" }, { name: "x2" }] })).count, 2);
    await db.matrixPrisma.deleteMany({ where: { name: { startsWith: "x" } } });
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
    const [{ v }] = await db.$queryRaw`select ${41} + 1 as v`;
    assert.equal(Number(v), 42);
  },
  end: () => db.$disconnect(),
});
