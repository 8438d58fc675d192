import type { PersonId, TokenId } from "../ids.ts";

export interface Person {
  id: PersonId;
  name: string;
}

export interface PersonStore {
  /** The person of that name, made if need be. */
  ensure(name: string): Person;
  get(id: PersonId): Person | undefined;
  list(): Person[];
  /** For the author of commits; empty where nobody said. */
  emailOf(id: PersonId): string;
  setEmail(id: PersonId, email: string): void;
}

/** `link` signs in once; `session` is a browser's cookie; `api` serves the CLI, scripts and git. */
export type TokenKind = "link" | "session" | "api";

export interface Token {
  id: TokenId;
  kind: TokenKind;
  name: string;
  person: Person;
  createdAt: number;
  expiresAt: number | undefined;
}

export interface TokenStore {
  /** Returns the secret, which is shown this once; the table holds its SHA-256. */
  create(input: { kind: TokenKind; name: string; person: PersonId; expiresAt?: number }): string;
  /** Undefined for what is unknown, expired or revoked. */
  find(secret: string): Token | undefined;
  /** Like `find`, and the token is void afterwards. */
  use(secret: string): Token | undefined;
  /** Whether the token of that id is neither expired nor revoked. */
  isValid(id: TokenId): boolean;
  list(): Token[];
  revoke(id: TokenId): boolean;
}
