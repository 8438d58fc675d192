import type { Log, LogFields } from "./domain/ports.ts";

const maxFieldLength = 2000;
/** Lines of one kind about one sandbox in one minute: a guest that causes them in a loop must not fill the disk. */
const maxAlike = 100;
const minuteMs = 60_000;

export interface ApplianceLog extends Log {
  /** For lines of which none may be missing; something else must bound them. */
  every(message: string, fields?: LogFields): void;
}

/** JSON lines: JSON escapes CR and LF, so no value can forge a line. */
export function createLog(write: (line: string) => void, now: () => number): ApplianceLog {
  let alike = new Map<string, { count: number; level: string; message: string; fields: LogFields }>();
  let minute = now();

  const put = (level: string, message: string, fields: LogFields) => {
    const line: LogFields = { at: new Date(now()).toISOString(), level, message };
    for (const key in fields) {
      const value = fields[key];
      line[key] =
        typeof value === "string" && value.length > maxFieldLength
          ? `${value.slice(0, maxFieldLength)}…`
          : value;
    }
    write(`${JSON.stringify(line)}\n`);
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
    every: (message, fields = {}) => put("info", message, fields),
    info: (message, fields) => emit("info", message, fields),
    warn: (message, fields) => emit("warn", message, fields),
    error: (message, fields) => emit("error", message, fields),
  };
}
