import { int, mysqlTable, varchar } from "drizzle-orm/mysql-core";

export const products = mysqlTable("products", {
  id: int().primaryKey().autoincrement(),
  name: varchar({ length: 200 }).notNull(),
  category: varchar({ length: 100 }).notNull(),
  priceCents: int("price_cents").notNull(),
});
