import { integer, pgTable, text } from "drizzle-orm/pg-core";

export const products = pgTable("products", {
  id: integer().primaryKey().generatedAlwaysAsIdentity(),
  name: text().notNull(),
  category: text().notNull(),
  priceCents: integer("price_cents").notNull(),
});
