import { expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { createAgents } from "../domain/agents.ts";
import { environmentSchema } from "../domain/environment.ts";
import type { RepositoryHost } from "../domain/ports.ts";
import { createSeal } from "../store/seal.ts";
import { openStore } from "../store/store.ts";
import { submitTask } from "./submit.ts";

test("a forge's default branch that reads like an option is no base for a task", async () => {
  const ids = { now: Date.now, randomBytes };
  const store = openStore(":memory:", createSeal(randomBytes(32)), ids);
  const person = store.people.ensure("ada");
  store.environments.save(environmentSchema.parse({ name: "default" }));
  const defaultBranch = "--upload-pack=x";
  store.repositories.add({
    ...{ kind: "hosted", name: "demo", defaultBranch, createdAt: 0 },
    push: { force: false, delete: false },
  });
  const never = () => {
    throw new Error("not asked here");
  };
  const host: RepositoryHost = {
    ...{ endpointOf: never, create: never, objectsOf: never, diff: never, commits: never, fileOf: never },
    ...{
      merge: never,
      isHere: () => true,
      branches: async () => [{ name: defaultBranch, commit: "a".repeat(40) }],
    },
  };
  const task = { prompt: "Do it", environment: "default", agent: "claude", model: "m" } as const;
  const submitted = submitTask({ store, host, ids, agents: createAgents() }, person, {
    ...task,
    mode: "act" as const,
    attachments: [],
    pullRequest: "none",
    repositories: [{ name: "demo" }],
  });
  await expect(submitted).rejects.toMatchObject({ code: "invalid" });
  store.close();
});
