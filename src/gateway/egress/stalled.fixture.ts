import { connect, createServer, type Socket } from "node:net";
import { connectTo, get, openEgress } from "./egress.fixture.ts";

/**
 * Run as a process of its own: 500 MB that nobody takes, in each direction, through a tunnel and a plain request.
 * Prints how much memory the process has grown by, and how much the sending side got rid of, both in MB.
 */
const total = 500_000_000;
const piece = Buffer.alloc(256 * 1024, "a");
const megabytes = (bytes: number) => Math.round(bytes / 1_000_000);

let sent = 0;
function pour(socket: Socket): void {
  const more = () => {
    while (sent < total) {
      sent += piece.length;
      if (!socket.write(piece)) return void socket.once("drain", more);
    }
  };
  socket.on("error", () => {});
  more();
}

async function serve(connected: (socket: Socket) => void): Promise<number> {
  const server = createServer({ allowHalfOpen: true }, connected).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

const speaks = await serve((socket) => {
  socket.once("data", (bytes) => {
    if (bytes.includes("GET")) socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${total}\r\n\r\n`);
    pour(socket);
  });
});
const deafOne = await serve((socket) => void socket.pause());
const door = await openEgress({
  names: { "ok.test": ["127.0.0.1"], "raw.test": ["127.0.0.1"] },
  allow: [`ok.test port=${speaks},${deafOne} write`, `raw.test port=${speaks},${deafOne} raw`],
  waits: { idleUpstream: 1000 },
});

const results: { name: string; grown: number; sent: number }[] = [];

/** What a client sends first, and whether it then sends without end; it reads nothing. */
async function stall(name: string, first: string, pours: boolean): Promise<void> {
  sent = 0;
  Bun.gc(true);
  const before = process.memoryUsage.rss();
  const socket = connect({ path: door.socket });
  socket.pause();
  socket.on("error", () => {});
  socket.write(first);
  if (pours) pour(socket);
  await Bun.sleep(600);
  results.push({ name, grown: megabytes(process.memoryUsage.rss() - before), sent: megabytes(sent) });
  socket.destroy();
  await Bun.sleep(20);
}

const post = `POST http://ok.test:${deafOne}/ HTTP/1.1\r\nHost: ok.test:${deafOne}\r\nContent-Length: ${total}\r\n\r\n`;
await stall("tunnel down", `${connectTo(`raw.test:${speaks}`)}go`, false);
await stall("tunnel up", connectTo(`raw.test:${deafOne}`), true);
await stall("answer", get(`http://ok.test:${speaks}/`), false);
await stall("body", post, true);
await stall("refusals", get("http://no.test/").repeat(200_000), false);
results.push({ name: "refusals written", grown: 0, sent: door.rows.length });
console.log(JSON.stringify(results));
process.exit(0);
