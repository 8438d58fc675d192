import { and, count, eq, gt, lte } from "drizzle-orm";
import type { Ticket, TicketStore } from "../domain/store/tickets.ts";
import type { StoreContext } from "./context.ts";
import { hashOf } from "./people.ts";
import { people } from "./schema/people.ts";
import { tickets } from "./schema/tickets.ts";

export function createTicketStore({ db, ids }: StoreContext): TicketStore {
  const rows = (where: ReturnType<typeof and>): Ticket[] =>
    db
      .select()
      .from(tickets)
      .innerJoin(people, eq(tickets.personId, people.id))
      .where(where)
      .orderBy(tickets.id)
      .all()
      .map(({ tickets: { id, taskId, facts, expiresAt, usedAt }, people: { id: personId, name } }) => ({
        ...{ id, taskId, facts, expiresAt },
        person: { id: personId, name },
        usedAt: usedAt ?? undefined,
      }));

  return {
    create({ id, person, taskId, facts, expiresAt }) {
      const secret = `ccwt_${Buffer.from(ids.randomBytes(30)).toString("base64url")}`;
      db.insert(tickets)
        .values({ id, personId: person, taskId, hash: hashOf(secret), facts, expiresAt })
        .run();
      return secret;
    },
    find: (secret) => rows(and(eq(tickets.hash, hashOf(secret)), gt(tickets.expiresAt, ids.now())))[0],
    get: (id) => rows(eq(tickets.id, id))[0],
    update(id, change) {
      db.update(tickets).set(change).where(eq(tickets.id, id)).run();
    },
    count: (person) =>
      db
        .select({ count: count() })
        .from(tickets)
        .where(and(eq(tickets.personId, person), gt(tickets.expiresAt, ids.now())))
        .get()?.count ?? 0,
    expired: () => rows(lte(tickets.expiresAt, ids.now())),
    remove(id) {
      db.delete(tickets).where(eq(tickets.id, id)).run();
    },
  };
}
