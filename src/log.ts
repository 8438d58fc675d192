import type { Log, LogFields } from "./domain/ports.ts";

const maxFieldLength = 2000;

/** JSON lines: JSON escapes CR and LF, so no value can forge a line. */
export function createLog(write: (line: string) => void, now: () => number): Log {
  const emit = (level: string, message: string, fields: LogFields = {}) => {
    const cut = Object.fromEntries(
      Object.entries(fields).map(([key, value]) => [
        key,
        typeof value === "string" && value.length > maxFieldLength
          ? `${value.slice(0, maxFieldLength)}…`
          : value,
      ]),
    );
    write(`${JSON.stringify({ at: new Date(now()).toISOString(), level, message, ...cut })}\n`);
  };
  return {
    info: (message, fields) => emit("info", message, fields),
    warn: (message, fields) => emit("warn", message, fields),
    error: (message, fields) => emit("error", message, fields),
  };
}
