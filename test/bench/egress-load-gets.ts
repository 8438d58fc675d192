import type { Socket, SocketHandler } from "bun";
import { messageOf } from "../../src/domain/errors.ts";
import { openTunnel } from "./egress-load-tunnels.ts";
import { originName } from "./egress-origin.ts";
import { addressOf, connectBare, type Rate, rateOf, targetOf, type WayIn } from "./egress-way.ts";

interface Asking {
  /** What came of the answer so far. */
  answer: string;
  /** When it was asked for; 0 where nothing is. */
  since: number;
  /** Answers before this one. */
  answers: number;
}

/** So many in a row and nothing else happening means that nobody answers. */
const maxFailures = 1_000;
/** For the last answers. */
const graceMs = 10_000;

/** GETs for a small body, on `atOnce` connections; one that the other side closes is opened again. */
export async function loadGets(job: {
  way: WayIn;
  port: number;
  /** `tunnel`: TLS in a tunnel. */
  through: "http" | "tunnel";
  atOnce: number;
  seconds: number;
}): Promise<Rate> {
  const { way, port, through, atOnce, seconds } = job;
  const target = through === "http" ? targetOf(way, port, "/small") : "/small";
  const request = Buffer.from(
    `GET ${target} HTTP/1.1\r\nHost: ${originName}:${port}\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n`,
  );
  const ms: number[] = [];
  const failures: string[] = [];
  let open = 0;
  const began = performance.now();
  const ending = () => performance.now() - began > seconds * 1000 || failures.length > maxFailures;

  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(hanging);
      resolve(rateOf(ms, failures, (performance.now() - began) / 1000));
    };
    const hanging = setTimeout(
      () => {
        failures.push(`${open} connections without an answer`);
        end();
      },
      seconds * 1000 + graceMs,
    );
    const left = () => {
      open--;
      if (!ending()) void enter();
      else if (open === 0) end();
    };
    const ask = (socket: Socket<Asking>) => {
      socket.data.answer = "";
      socket.data.since = performance.now();
      socket.write(request);
    };
    const handler: SocketHandler<Asking> = {
      open: ask,
      data(socket, bytes) {
        socket.data.answer += bytes.toString("latin1");
        const state = stateOf(socket.data.answer);
        if (state === "partial") return;
        socket.data.answers++;
        if (state === "bad") failures.push(socket.data.answer.slice(0, 200));
        else ms.push(performance.now() - socket.data.since);
        socket.data.since = 0;
        if (state === "whole" && !ending()) ask(socket);
        else socket.end();
      },
      close({ data }) {
        // Whoever does not keep connections may close one that is asked once more: that is asked again elsewhere.
        const closedAsIdle = data.answer === "" && data.answers > 0;
        if (data.since !== 0 && !closedAsIdle) failures.push("closed before the answer was whole");
        left();
      },
      error: (socket) => void socket.terminate(),
    };
    const enter = async () => {
      open++;
      const data: Asking = { answer: "", since: 0, answers: 0 };
      try {
        if (through === "http") return void (await connectBare(addressOf(way, port), data, handler));
        const bare = await openTunnel(way, port);
        const tls = { rejectUnauthorized: false, serverName: originName };
        bare.upgradeTLS({ data, tls, socket: { ...handler, open() {}, handshake: ask } });
      } catch (thrown) {
        failures.push(messageOf(thrown));
        left();
      }
    };
    for (let i = 0; i < atOnce; i++) void enter();
  });
}

/** `last`: whole, and the other side will close. */
function stateOf(answer: string): "partial" | "whole" | "last" | "bad" {
  const end = answer.indexOf("\r\n\r\n");
  if (end < 0) return "partial";
  if (!answer.startsWith("200 ", 9)) return "bad";
  const length = /\r\ncontent-length: *(\d+)/i.exec(answer);
  if (length === null) return "bad";
  if (answer.length < end + 4 + Number(length[1])) return "partial";
  return answer.startsWith("HTTP/1.0") || /\r\n(?:proxy-)?connection: *close/i.test(answer)
    ? "last"
    : "whole";
}
