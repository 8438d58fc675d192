import { createPktReader, flushPkt, pktLine } from "./pkt-line.ts";

/** The answer to a push (gitprotocol-pack(5), "Report Status"): written for a refusal, read from git's own. */

export interface PushReport {
  /** `ok`, or why the pack was not taken. */
  unpack: string;
  refused: { ref: string; reason: string }[];
}

export interface RefusedPush {
  /** Shown by the git client, each behind `remote: `. */
  lines: readonly string[];
  report: PushReport;
}

/**
 * The body of a refusal that the git client shows: text on side-band 2, then a report. Undefined where the client
 * asked for no report; it would take silence for success, so it must be told by a status.
 */
export function refusalBody(push: RefusedPush, capabilities: readonly string[]): Uint8Array | undefined {
  if (!asksForReport(capabilities)) return undefined;
  const report = Buffer.concat([
    pktLine(`unpack ${push.report.unpack}\n`),
    ...push.report.refused
      .filter(({ ref }) => ref.length <= longestRef)
      .map(({ ref, reason }) => pktLine(`ng ${ref} ${reason}\n`)),
    flushPkt,
  ]);
  const payload = sideBandPayload(capabilities);
  if (payload === undefined) return report;
  const text = Buffer.from(push.lines.map((line) => `${line}\n`).join(""));
  return Buffer.concat([...banded(2, text, payload), ...banded(1, report, payload), flushPkt]);
}

/** No file system keeps a longer one, so no git client waits for a word on it. */
const longestRef = 4096;

export interface PushReportReader {
  read(chunk: Uint8Array): void;
  /** What git refused and took, as far as it was read. */
  report(): PushReport & { taken: string[] };
}

/** Whether a push with these capabilities is answered by a report. */
export const asksForReport = (capabilities: readonly string[]): boolean =>
  capabilities.some((name) => /^report-status(-v2)?$/.test(name));

/** A report has a line for a ref, and a task's push has one ref. */
const longestReport = 64 * 1024;

/** Reads along with git's answer; holds 64 KiB at most and never disturbs the answer. */
export function createPushReportReader(capabilities: readonly string[]): PushReportReader {
  const outer = createPktReader();
  const inner = createPktReader();
  const banded = sideBandPayload(capabilities) !== undefined;
  const found = { unpack: "ok", refused: [] as PushReport["refused"], taken: [] as string[] };
  let taken = 0;
  let readable = true;

  function readReport(bytes: Uint8Array): void {
    taken += bytes.length;
    if (taken > longestReport) readable = false;
    eachPkt(inner, bytes, (payload) => {
      const line = Buffer.from(payload).toString().trimEnd();
      const refusal = /^ng (\S+) (.*)$/.exec(line);
      if (line.startsWith("unpack ")) found.unpack = line.slice("unpack ".length);
      if (line.startsWith("ok ")) found.taken.push(line.slice("ok ".length));
      if (refusal?.[1] !== undefined) found.refused.push({ ref: refusal[1], reason: refusal[2] ?? "" });
    });
  }
  function eachPkt(reader: typeof outer, bytes: Uint8Array, take: (payload: Uint8Array) => void): void {
    let at = 0;
    while (readable && at < bytes.length) {
      const { used, pkt } = reader.read(bytes, at);
      at += used;
      if (pkt?.kind === "malformed") readable = false;
      if (pkt?.kind === "data") take(pkt.payload);
    }
  }

  return {
    read(chunk) {
      if (!readable) return;
      if (!banded) return readReport(chunk);
      eachPkt(outer, chunk, (payload) => {
        if (payload[0] === 1) readReport(payload.subarray(1));
      });
    },
    report: () => found,
  };
}

/** How many bytes a side-band packet carries; undefined where the client takes no side-band. */
function sideBandPayload(capabilities: readonly string[]): number | undefined {
  if (capabilities.includes("side-band-64k")) return 65515;
  return capabilities.includes("side-band") ? 995 : undefined;
}

function banded(band: 1 | 2, bytes: Buffer, payload: number): Buffer[] {
  const packets: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += payload) {
    packets.push(pktLine(Uint8Array.of(band), bytes.subarray(at, at + payload)));
  }
  return packets;
}
