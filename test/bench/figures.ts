import { readFile } from "node:fs/promises";

/** What one benchmark has found: tables for people, and whether it kept what the product promises. */
export interface Report {
  name: string;
  tables: { caption: string; rows: Row[] }[];
  promises: Promised[];
}

export type Row = Record<string, string | number>;

interface Promised {
  what: string;
  unit: string;
  measured: number;
  /** The most it may be. */
  limit: number;
}

/** Milliseconds since the epoch, in fractions, comparable between processes of one machine. */
export const preciseNow = (): number => performance.timeOrigin + performance.now();

export function quantile(figures: readonly number[], share: number): number {
  return figures.toSorted((a, b) => a - b)[Math.round((figures.length - 1) * share)] ?? Number.NaN;
}

export const median = (figures: readonly number[]): number => quantile(figures, 0.5);

export function rounded(figure: number, digits = 1): number {
  return Number(figure.toFixed(digits));
}

/** Resident memory of a process. */
export async function residentMiB(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024;
}

/** Processor time that a process has used, in seconds: utime and stime of proc(5), in the kernel's 1/100 s. */
export async function cpuSeconds(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8");
  // The name, in parentheses, may hold anything: the fields follow the last one.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}
