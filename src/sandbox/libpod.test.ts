import { afterEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import Docker from "dockerode";
import { statusOf } from "./engine-errors.ts";
import { hasLibpod, podmanWait } from "./libpod.ts";

/** How Podman is asked, as its API is documented; what it answers on a real one is tested in test/e2e/sandbox.e2e.ts. */

const cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  for (const each of cleanUp.splice(0).reverse()) await each();
});

function podman(answer: (url: URL) => Response | Promise<Response>) {
  const folder = mkdtempSync("/tmp/ccw-libpod-");
  const unix = join(folder, "podman.sock");
  const asked: string[] = [];
  const server = Bun.serve({
    unix,
    fetch(request) {
      asked.push(`${request.method} ${request.url.replace(/^https?:\/\/[^/]+/, "")}`);
      return answer(new URL(request.url));
    },
  });
  cleanUp.push(
    () => rmSync(folder, { recursive: true }),
    () => server.stop(true),
  );
  return { docker: new Docker({ socketPath: unix }), asked };
}
const never = new AbortController().signal;
const traits = {
  ...{ rootless: false, cgroupVersion: 2 as const, runtime: "runc", limitsWork: true },
  ...{ userns: { kind: "none" as const }, ulimits: { nofile: 1, nproc: 1 } },
};

test("a container's end is asked for with a pause between two looks, and any state counts in which it does not run", async () => {
  for (const code of [0, 137, -1]) {
    const { docker, asked } = podman(() => new Response(`${code}\n`));
    expect(await podmanWait(docker, "box", never)).toBe(code);
    expect(asked).toEqual([
      "POST /v4.0.0/libpod/containers/box/wait?condition=created&condition=initialized&condition=stopped&condition=exited&interval=250ms",
    ]);
  }
});

test("what Podman answers instead keeps its status, and whoever stops waiting is not kept", async () => {
  const missing = podman(() => Response.json({ cause: "no such container" }, { status: 404 }));
  const refused = await podmanWait(missing.docker, "box", never).catch((thrown: unknown) => thrown);
  expect(statusOf(refused)).toBe(404);
  const running = podman(() => new Promise<Response>(() => {}));
  const leaving = new AbortController();
  const waiting = podmanWait(running.docker, "box", leaving.signal);
  leaving.abort();
  await expect(waiting).rejects.toThrow();
});

test("Podman has that API from version 4 on; Docker has none", () => {
  const engine = (kind: "podman" | "docker", version: string) => ({ ...traits, kind, version });
  const versions = ["3.4.4", "4.0.0", "4.3.1", "5.4.2", "10.1.0", ""];
  expect(versions.map((version) => hasLibpod(engine("podman", version)))).toEqual([
    ...[false, true, true, true, true, false],
  ]);
  expect(hasLibpod(engine("docker", "28.1.0"))).toBe(false);
});
