import type { Forge, ForgeCredential } from "../forge.ts";

export interface ForgeStore {
  /** Adds it, or replaces the one of that name. */
  save(forge: Omit<Forge, "credential" | "createdAt" | "updatedAt">, credential: ForgeCredential): Forge;
  get(name: string): Forge | undefined;
  list(): Forge[];
  credentialOf(name: string): ForgeCredential;
  /** `conflict` while repositories of it are there. */
  remove(name: string): boolean;
}
