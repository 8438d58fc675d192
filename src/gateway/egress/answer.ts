import { joined } from "../wire/joined.ts";
import type { Wire } from "../wire/wire.ts";
import { writeAll } from "../wire/write-all.ts";
import type { createRedaction } from "./filter/redaction.ts";
import { type BodyFraming, chunkOf, createBodyReader, lastChunk, responseFraming } from "./http/body.ts";
import type { BodyReader } from "./http/chunk-reader.ts";
import { responseBytes } from "./http/forward-headers.ts";
import { headersOf } from "./http/header-lines.ts";
import { headerOf } from "./http/request-head.ts";
import { type ResponseHead, readResponseHead } from "./http/response-head.ts";

type Redaction = ReturnType<typeof createRedaction>;

/** An origin's answer on its way to the client, as it comes in. */
export interface Answer {
  /** `complete`: the last byte is out. `blocked`: the client is behind; bring no more before its drain. */
  take(bytes: Uint8Array): { ok: true; complete: boolean; blocked: boolean } | { ok: false; why: string };
  /** The origin has ended its side: true if that is the answer's legal end. */
  end(): boolean;
  /** The client has been told the final status. */
  readonly begun: boolean;
  readonly status: number;
  readonly clientReusable: boolean;
  readonly upstreamReusable: boolean;
}

export function createAnswer(options: {
  client: Wire;
  method: string;
  /** The request's minor version: 1.0 knows no chunks. */
  minor: 0 | 1;
  wantsClose: boolean;
  redaction: Redaction | undefined;
  sent(bytes: number): void;
}): Answer {
  const { client, method, minor, redaction } = options;
  let held = nothing;
  /** Bytes of `held` in which no head ended. */
  let searched = 0;
  let head: ResponseHead | undefined;
  let reader: BodyReader | undefined;
  let towards: BodyFraming = { kind: "none" };
  let complete = false;
  let leftover = false;
  let untilClose = false;
  let bodiless = false;
  let begun = false;
  const redacted = redaction?.start();
  /** What one read of the origin brings, to go out at once: heads, then content. */
  let heads: Uint8Array[] = [];
  let content: Uint8Array[] = [];

  const flush = (): boolean => {
    if (head !== undefined) begun = true;
    const pieces = [...heads, ...(towards.kind === "chunked" ? chunkOf(content) : content)];
    if (complete && towards.kind === "chunked") pieces.push(lastChunk);
    heads = [];
    content = [];
    options.sent(pieces.reduce((sum, piece) => sum + piece.length, 0));
    return writeAll(client, pieces);
  };
  const finish = () => {
    if (redacted !== undefined) content.push(...redacted.end());
    complete = true;
  };
  const closes = () => options.wantsClose || towards.kind === "until-close";

  const redactedHead = (head: ResponseHead): ResponseHead => {
    if (redaction === undefined) return head;
    const { text } = redaction;
    const headers = head.headers.map(([name, value]) => [text(name), text(value)] as const);
    return { ...head, reason: text(head.reason), headers };
  };

  /** The status line and headers; interim answers (RFC 9110, 15.2) go on as they come, but for a switch of protocols. */
  const takeHead = (): { ok: true; more: boolean } | { ok: false; why: string } => {
    const read = readResponseHead(held, searched);
    if (read.kind === "more") {
      searched = held.length;
      return { ok: true, more: true };
    }
    if (read.kind === "bad") return { ok: false, why: `something that is no HTTP answer (${read.why})` };
    held = held.subarray(read.length);
    searched = 0;
    const { status } = read.head;
    if (status === 101) return { ok: false, why: "a switch of protocols that nobody asked for (101)" };
    if (status < 200) {
      if (minor === 1)
        heads.push(
          responseBytes({ head: redactedHead(read.head), framing: { kind: "none" }, close: false, minor }),
        );
      return { ok: true, more: false };
    }
    const framing = responseFraming(read.head, method);
    if (!framing.ok) return { ok: false, why: `an answer whose length is not clear (${framing.why})` };
    const coding = headerOf(read.head, "content-encoding")?.toLowerCase() ?? "identity";
    if (redaction !== undefined && coding !== "identity" && framing.framing.kind !== "none")
      return { ok: false, why: "a compressed answer, in which an injected credential could not be found" };
    head = read.head;
    reader = createBodyReader(framing.framing, "server");
    untilClose = framing.framing.kind === "until-close";
    bodiless = framing.framing.kind === "none";
    towards =
      framing.framing.kind === "none" || framing.framing.kind === "length"
        ? framing.framing
        : minor === 1
          ? { kind: "chunked" }
          : { kind: "until-close" };
    heads.push(responseBytes({ head: redactedHead(head), framing: towards, close: closes(), minor }));
    if (
      framing.framing.kind === "none" ||
      (framing.framing.kind === "length" && framing.framing.length === 0)
    )
      complete = true;
    return { ok: true, more: false };
  };

  return {
    take(bytes) {
      held = joined(held, bytes);
      while (head === undefined) {
        const taken = takeHead();
        if (!taken.ok) return taken;
        if (taken.more) return { ok: true, complete: false, blocked: !flush() };
      }
      while (!complete && reader !== undefined && held.length > 0) {
        const read = reader.read(held);
        if (!read.ok) return { ok: false, why: `a broken body (${read.why})` };
        held = held.subarray(read.consumed);
        for (const piece of read.content) {
          if (redacted === undefined) content.push(piece);
          else content.push(...redacted.push(piece));
        }
        if (read.done) finish();
        else if (read.consumed === 0) break;
      }
      leftover = complete && held.length > 0;
      const blocked = !flush();
      if (held.length === 0) {
        held = nothing;
        client.spent(bytes);
      }
      return { ok: true, complete, blocked };
    },
    end() {
      if (complete) return true;
      if (head === undefined || reader === undefined || !reader.end()) return false;
      finish();
      flush();
      return true;
    },
    get begun() {
      return begun;
    },
    get status() {
      return head?.status ?? 0;
    },
    get clientReusable() {
      return complete && !closes();
    },
    get upstreamReusable() {
      return (
        complete &&
        !leftover &&
        !untilClose &&
        head?.minor === 1 &&
        !(bodiless && announcesBody(head)) &&
        !headersOf(head, "connection").some((value) => /\bclose\b/i.test(value))
      );
    },
  };
}

const nothing: Uint8Array = new Uint8Array();

/** Some servers send it after all, behind an answer that has none (HEAD, 204, 304). */
function announcesBody(head: ResponseHead): boolean {
  return (
    headerOf(head, "transfer-encoding") !== undefined ||
    headersOf(head, "content-length").some((length) => length !== "0")
  );
}
