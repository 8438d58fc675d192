import type { Log, LogFields } from "./domain/ports.ts";

const maxFieldLength = 2000;
/** Lines of one kind about one sandbox in one minute: a guest that causes them in a loop must not fill the disk. */
const maxAlike = 100;
const minuteMs = 60_000;
const waitMs = 50;
const maxWaiting = 500;

export interface ApplianceLog extends Log {
  /** For lines of which none may be missing; something else must bound them. They wait for 50 ms and go together. */
  every(message: string, fields?: LogFields): void;
  /** Writes what waits. */
  flush(): void;
}

/** JSON lines: JSON escapes CR and LF, so no value can forge a line. */
export function createLog(write: (line: string) => void, now: () => number): ApplianceLog {
  let alike = new Map<string, { count: number; level: string; message: string; fields: LogFields }>();
  let minute = now();

  let textOf = { ms: Number.NaN, text: "" };
  /** Many lines fall into one millisecond. */
  const timeText = (ms: number): string => {
    if (ms !== textOf.ms) textOf = { ms, text: new Date(ms).toISOString() };
    return textOf.text;
  };

  const lineOf = (level: string, message: string, fields: LogFields): string => {
    const line: LogFields = { at: timeText(now()), level, message };
    for (const key in fields) {
      const value = fields[key];
      line[key] =
        typeof value === "string" && value.length > maxFieldLength
          ? `${value.slice(0, maxFieldLength)}…`
          : value;
    }
    return `${JSON.stringify(line)}\n`;
  };

  const waiting: string[] = [];
  let timer: ReturnType<typeof setTimeout> | undefined;
  const flush = () => {
    clearTimeout(timer);
    timer = undefined;
    if (waiting.length > 0) write(waiting.splice(0).join(""));
  };
  const put = (level: string, message: string, fields: LogFields) => {
    flush();
    write(lineOf(level, message, fields));
  };

  /** Says how much was left out in the minute that is over, and begins a new one. */
  const turn = () => {
    for (const { count, level, message, fields } of alike.values())
      if (count > maxAlike) put(level, message, { ...fields, leftOut: count - maxAlike });
    alike = new Map();
    minute = now();
  };

  const emit = (level: string, message: string, fields: LogFields = {}) => {
    if (Math.abs(now() - minute) >= minuteMs) turn();
    const sandbox = fields["sandbox"] ?? fields["sandboxId"];
    if (sandbox !== undefined) {
      const key = `${sandbox} ${message}`;
      const seen = alike.get(key) ?? { count: 0, level, message, fields: { sandbox } };
      seen.count += 1;
      alike.set(key, seen);
      if (seen.count > maxAlike) return;
    }
    put(level, message, fields);
  };

  return {
    every(message, fields = {}) {
      waiting.push(lineOf("info", message, fields));
      timer ??= setTimeout(flush, waitMs);
      if (waiting.length >= maxWaiting) flush();
    },
    flush,
    info: (message, fields) => emit("info", message, fields),
    warn: (message, fields) => emit("warn", message, fields),
    error: (message, fields) => emit("error", message, fields),
  };
}
