import type { LfsObject } from "../domain/lfs.ts";

/** What a server told the appliance to do with one object. Its address and headers hold credentials more often than not. */
export interface LfsAction {
  kind: "download" | "upload" | "verify";
  object: LfsObject;
  url: URL;
  headers: Record<string, string>;
}

/** Who may use what was kept: one sandbox, at one repository. */
export interface TicketHolder {
  holder: string;
  repository: string;
}

/** What servers told, kept here; the client gets a ticket for it, which says nothing. */
export interface LfsTickets {
  /** `expiresAt` in milliseconds since the epoch. */
  keep(to: TicketHolder, action: LfsAction, expiresAt: number): string;
  /** Undefined where there is none, it has expired, or it is another's or for something else. */
  find(
    to: TicketHolder,
    ticket: string,
    kind: LfsAction["kind"],
    oid: string | undefined,
  ): LfsAction | undefined;
}

export interface LfsTicketOptions {
  now(): number;
  /** 43 characters of base64url that cannot be guessed. */
  newTicket(): string;
  /** Of one holder; default 2000, a client asks for 100 objects at once. The oldest gives way. */
  maxOfOne?: number;
  /** Of all; default 10 000. */
  max?: number;
}

interface Kept extends TicketHolder {
  action: LfsAction;
  expiresAt: number;
}

export function createLfsTickets(options: LfsTicketOptions): LfsTickets {
  const { now, newTicket, maxOfOne = 2000, max = 10_000 } = options;
  /** In the order in which they were made. */
  const kept = new Map<string, Kept>();
  const ofHolder = new Map<string, Set<string>>();

  function drop(ticket: string): void {
    const found = kept.get(ticket);
    if (found === undefined) return;
    kept.delete(ticket);
    const own = ofHolder.get(found.holder);
    own?.delete(ticket);
    if (own?.size === 0) ofHolder.delete(found.holder);
  }

  return {
    keep({ holder, repository }, action, expiresAt) {
      const own = ofHolder.get(holder) ?? new Set();
      for (const [first] of own.size >= maxOfOne ? own.entries().take(1) : []) drop(first);
      for (const [first] of kept.size >= max ? kept.entries().take(1) : []) drop(first);
      const ticket = newTicket();
      kept.set(ticket, { holder, repository, action, expiresAt });
      ofHolder.set(holder, own.add(ticket));
      return ticket;
    },
    find({ holder, repository }, ticket, kind, oid) {
      const found = kept.get(ticket);
      if (found === undefined) return undefined;
      if (now() >= found.expiresAt) {
        drop(ticket);
        return undefined;
      }
      const { action } = found;
      const fits =
        found.holder === holder &&
        found.repository === repository &&
        action.kind === kind &&
        (oid === undefined || action.object.oid === oid);
      return fits ? action : undefined;
    },
  };
}
