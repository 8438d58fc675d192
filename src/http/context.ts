import type { IdSource } from "../domain/ids.ts";
import type { ModelEndpoint } from "../domain/model.ts";
import type { Log, RepositoryHost } from "../domain/ports.ts";
import type { Person, Store } from "../domain/store.ts";

/** What the routes work with. */
export interface HttpContext {
  store: Store;
  host: RepositoryHost;
  ids: IdSource;
  log: Log;
  version: string;
  /** Tasks that run at once. */
  parallel: number;
  /** Where people reach the appliance, without a slash at the end. */
  publicUrl(): string;
  /** Host names, besides IP addresses and localhost, under which the appliance may be addressed. */
  hostNames: readonly string[];
  model: ModelSettings;
  /** `podman 4.3.1`; the reason in words where no engine answers. */
  engine(): Promise<{ ok: boolean; text: string }>;
  assets: Assets;
  /** Git's smart HTTP for people; the name is legal and the repository exists. */
  git(request: Request, repository: string, service: string): Promise<Response>;
}

export interface ModelSettings {
  current(): ModelEndpoint | undefined;
  /** Where the current setting comes from: what stands in a file or the environment cannot be changed on the page. */
  source(): "environment" | "ccw.toml" | "page" | "default";
  set(endpoint: ModelEndpoint | "demo"): void;
}

/** The built web interface, by URL path. */
export type Assets = ReadonlyMap<string, { body: Uint8Array; type: string }>;

export type HttpEnv = { Variables: { person: Person } };
