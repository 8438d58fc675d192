import { afterEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Forward, startForward } from "./forward.ts";

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0).reverse()) close();
});

async function forwardTo(onConnection: (socket: Socket) => void): Promise<Forward> {
  const folder = mkdtempSync(join(tmpdir(), "ccw-forward-"));
  closers.push(() => rmSync(folder, { recursive: true, force: true }));
  const server: Server = createServer({ allowHalfOpen: true }, onConnection);
  await new Promise<void>((resolve) => server.listen(join(folder, "door.sock"), resolve));
  const forward = startForward({ port: 0, socketPath: join(folder, "door.sock") });
  closers.push(() => server.close());
  closers.push(() => forward.close());
  return forward;
}

const dial = (forward: Forward) => connect({ host: "127.0.0.1", port: forward.port, allowHalfOpen: true });

/** Listens by events: the socket's own iterator would close it at the end. */
function readAll(socket: Socket): Promise<string> {
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  return new Promise((resolve) => socket.on("end", () => resolve(Buffer.concat(chunks).toString())));
}

test("an answer still comes after the client has closed its side", async () => {
  const forward = await forwardTo((socket) => {
    readAll(socket).then(
      (said) => setTimeout(() => socket.end(`you said ${said}`), 50),
      () => {},
    );
  });
  const client = dial(forward);
  client.end("hello");
  expect(await readAll(client)).toBe("you said hello");
});

test("a request still goes through after the door has closed its side", async () => {
  const { promise, resolve } = Promise.withResolvers<string>();
  const forward = await forwardTo((socket) => {
    socket.end("bye");
    readAll(socket).then(resolve, () => {});
  });
  const client = dial(forward);
  client.on("end", () => setTimeout(() => client.end("late words"), 50));
  client.resume();
  expect(await promise).toBe("late words");
});

test("many bytes arrive once and in order, both ways, past a slow reader", async () => {
  const size = 24 * 1024 * 1024;
  const forward = await forwardTo((socket) => socket.pipe(socket));
  const client = dial(forward);
  const sent = new Bun.CryptoHasher("sha1");
  const received = new Bun.CryptoHasher("sha1");
  let got = 0;
  client.on("data", (chunk: Buffer) => {
    received.update(chunk);
    got += chunk.length;
    if (got % 7 === 0) {
      client.pause();
      setTimeout(() => client.resume(), 1);
    }
  });
  const ended = new Promise<void>((resolve) => client.on("end", resolve));
  for (let at = 0; at < size; at += 64 * 1024) {
    const block = Buffer.alloc(64 * 1024, at / (64 * 1024));
    sent.update(block);
    if (!client.write(block)) await new Promise((resolve) => client.once("drain", resolve));
  }
  client.end();
  await ended;
  expect(got).toBe(size);
  expect(received.digest("hex")).toBe(sent.digest("hex"));
});

test("a door that does not read stops the client", async () => {
  const forward = await forwardTo((socket) => socket.pause());
  const client = dial(forward);
  client.on("error", () => {});
  await new Promise<void>((resolve) => client.on("connect", resolve));
  const block = Buffer.alloc(1024 * 1024);
  let written = 0;
  for (let i = 0; i < 200; i++) {
    if (client.write(block)) written++;
    else {
      const went = await Promise.race([
        new Promise<boolean>((resolve) => client.once("drain", () => resolve(true))),
        Bun.sleep(200).then(() => false),
      ]);
      if (!went) break;
      written++;
    }
  }
  client.destroy();
  expect(written).toBeLessThan(50);
});

test("with the door away the connection is closed", async () => {
  const forward = startForward({ port: 0, socketPath: "/nonexistent/door.sock" });
  closers.push(() => forward.close());
  const client = dial(forward);
  client.on("error", () => {});
  await new Promise<void>((resolve) => client.on("close", () => resolve()));
  expect(client.destroyed).toBe(true);
});

test("a door that goes on talking to a client that is gone learns of it", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const forward = await forwardTo((socket) => {
    socket.on("error", () => {});
    const talking = setInterval(() => socket.write("more"), 5);
    socket.on("close", () => {
      clearInterval(talking);
      resolve();
    });
  });
  const client = dial(forward);
  await new Promise<void>((got) => client.once("data", () => got()));
  client.destroy();
  await promise;
});

test("a client whose door is cut off learns of it", async () => {
  const forward = await forwardTo((socket) => socket.once("data", () => socket.destroy()));
  const client = dial(forward);
  client.on("error", () => {});
  client.write("hello");
  client.resume();
  await new Promise<void>((ended) => client.once("end", () => ended()));
  client.destroy();
});
