import type { Environment } from "../environment.ts";

export interface EnvironmentStore {
  save(environment: Environment): void;
  get(name: string): Environment | undefined;
  list(): Environment[];
}
