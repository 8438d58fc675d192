import { expect, test } from "bun:test";
import { createLfsTickets, type LfsAction } from "./lfs-tickets.ts";

let clock = 0;
let made = 0;
const oid = "a".repeat(64);
const action: LfsAction = {
  ...{ kind: "download", object: { oid, size: 1 }, url: new URL("https://store.example/x"), headers: {} },
};
const one = { holder: "sbx_1", repository: "forge.example/acme/widget" };
const options = { now: () => clock, newTicket: () => `ticket-${++made}` };

test("a ticket is good for its sandbox, its repository, its object, what it is for, and its time", () => {
  const tickets = createLfsTickets(options);
  clock = 0;
  const ticket = tickets.keep(one, action, 1000);
  expect(tickets.find(one, ticket, "download", oid)).toBe(action);
  expect(tickets.find({ ...one, holder: "sbx_2" }, ticket, "download", oid)).toBeUndefined();
  expect(tickets.find({ ...one, repository: "forge.example/a/b" }, ticket, "download", oid)).toBeUndefined();
  expect(tickets.find(one, ticket, "upload", oid)).toBeUndefined();
  expect(tickets.find(one, ticket, "download", "b".repeat(64))).toBeUndefined();
  expect(tickets.find(one, "", "download", oid)).toBeUndefined();
  clock = 1000;
  expect(tickets.find(one, ticket, "download", oid)).toBeUndefined();
});

test("there are so many tickets and no more, and one sandbox does not take another's", () => {
  clock = 0;
  const tickets = createLfsTickets({ ...options, maxOfOne: 3, max: 5 });
  const other = { ...one, holder: "sbx_2" };
  const theirs = tickets.keep(other, action, 1000);
  const mine = Array.from({ length: 10 }, () => tickets.keep(one, action, 1000));
  const alive = mine.filter((ticket) => tickets.find(one, ticket, "download", oid));
  expect(alive).toEqual(mine.slice(-3));
  expect(tickets.find(other, theirs, "download", oid)).toBe(action);
  for (const holder of ["sbx_3", "sbx_4"]) tickets.keep({ ...one, holder }, action, 1000);
  expect(tickets.find(other, theirs, "download", oid)).toBeUndefined();
});
