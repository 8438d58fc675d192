import { afterAll, beforeAll, expect, test } from "bun:test";
import { rmSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { SMTPServer } from "smtp-server";
import { Webhook } from "standardwebhooks";
import { testCertificate, testKey } from "../../src/gateway/model/tls.fixture.ts";
import {
  type Appliance,
  enginesUnderTest,
  executable,
  freshFolder,
  reaches,
  run,
  startAppliance,
  submit,
  until,
} from "./appliance.ts";

/** The executable tells what became of real tasks, to real receivers, over its own death. */

const [engine] = enginesUnderTest();
if (engine === undefined) throw new Error("no engine");

let dataFolder: string;
let appliance: Appliance;
let receiver: ReturnType<typeof Bun.serve>;
let smtp: SMTPServer;
let answer = 200;
const posts: { headers: Record<string, string>; body: string; status: number }[] = [];
const mails: string[] = [];

const start = async () => {
  appliance = await startAppliance({ engine, dataFolder, argv: ["--demo"] });
};
const ccw = (...argv: string[]) => run([executable, ...argv, "--data", dataFolder]);

beforeAll(async () => {
  dataFolder = freshFolder();
  receiver = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      posts.push({ headers: request.headers.toJSON(), body: await request.text(), status: answer });
      return new Response("", { status: answer });
    },
  });
  smtp = new SMTPServer({
    ...{ key: testKey, cert: testCertificate, disableReverseLookup: true },
    onAuth: ({ username, password }, _session, done) =>
      password === "secret" ? done(null, { user: username }) : done(new Error("no")),
    // As with the hook: what is taken in the instant of the kill is sent once more.
    onMailFrom: (_address, _session, done) =>
      done(answer === 200 ? null : Object.assign(new Error("Later."), { responseCode: 451 })),
    onData(stream, _session, done) {
      const chunks: Buffer[] = [];
      stream.on("data", (chunk: Buffer) => chunks.push(chunk));
      stream.on("end", () => {
        mails.push(Buffer.concat(chunks).toString());
        done();
      });
    },
  });
  await new Promise<void>((resolve) => smtp.listen(0, "127.0.0.1", resolve));
  const { port } = smtp.server.address() as AddressInfo;
  const ca = join(dataFolder, "ca.pem");
  writeFileSync(ca, testCertificate);
  writeFileSync(
    join(dataFolder, "ccw.toml"),
    `[notifications]\nallowed_ranges = ["127.0.0.1"]\n[egress]\nca_file = "${ca}"\n[smtp]\nhost = "localhost"\nport = ${port}\nuser = "ccw"\npassword = "secret"\nfrom = "Agents <ccw@example.com>"\n`,
  );
  await start();
}, 600_000);

afterAll(async () => {
  await appliance?.stop();
  await receiver?.stop(true);
  await new Promise<void>((resolve) => smtp?.close(() => resolve()) ?? resolve());
  rmSync(dataFolder, { recursive: true, force: true });
});

test("a task is done, its server is killed before the receiver has taken it: it is told, signed, under one id, and once", async () => {
  const added = await ccw("notify", "add", "webhook", `http://127.0.0.1:${receiver.port}/hook`);
  expect(added.code).toBe(0);
  const secret = added.out.trim();
  expect((await ccw("notify", "add", "email", "ada@example.com", "--kinds", "done")).code).toBe(0);

  answer = 503;
  const task = await submit(appliance, { prompt: "demo: look-around" });
  await reaches(appliance, task.id, "idle", "completed");
  await until("the receiver was asked", () => posts.length > 0);
  await appliance.killHard();
  answer = 200;
  await start();
  await until("the receiver has taken it", () => posts.some(({ status }) => status === 200));
  await until("the mail came", () => mails.length > 0);
  // Long enough for another that should not come.
  await Bun.sleep(8000);

  const taken = posts.filter(({ status }) => status === 200);
  expect(taken).toHaveLength(1);
  expect(new Set(posts.map(({ headers }) => headers["webhook-id"])).size).toBe(1);
  const read = new Webhook(secret).verify(taken[0]?.body ?? "", taken[0]?.headers ?? {});
  expect(read).toMatchObject({ type: "task.done", data: { taskId: task.id, title: task.title } });
  expect(mails).toHaveLength(1);
  expect(mails[0]).toContain(`/tasks/${task.id}`);
  expect(mails[0]).toMatch(/^Subject: Done: /m);
  expect(mails[0]?.match(/^To: .*$/m)?.[0]).toContain("ada@example.com");
  const log = JSON.parse((await ccw("notify", "log", "--json")).out);
  expect(log.map(({ kind, state }: { kind: string; state: string }) => `${kind} ${state}`)).toEqual([
    "done sent",
    "done sent",
  ]);
}, 600_000);

test("a question is told when it is asked; a test says what came of it", async () => {
  const before = posts.length;
  const task = await submit(appliance, { prompt: "demo: ask" });
  await reaches(appliance, task.id, "waiting");
  await until("it is told", () => posts.length > before);
  expect(JSON.parse(posts.at(-1)?.body ?? "")).toMatchObject({
    type: "task.question",
    data: { taskId: task.id },
  });
  expect(await ccw("notify", "test", "1")).toMatchObject({ code: 0, out: "It was taken.\n" });
  answer = 404;
  await Bun.sleep(3000);
  expect((await ccw("notify", "test", "1")).err).toContain("It answers 404.");
  answer = 200;
}, 600_000);
