import { type Command, InvalidArgumentError } from "commander";
import type { Client } from "../client.ts";
import type { Address, Whereabouts } from "./connect.ts";
import type { CliIo } from "./io.ts";
import type { CliWiring } from "./wiring.ts";

/** What every command works with. */
export interface Cli {
  program: Command;
  wiring: CliWiring;
  io: CliIo;
  /** The options that stand on every command. */
  globals(): Whereabouts & { json: boolean };
  address(): Promise<Address>;
  connect(): Promise<Client>;
  /** The exit code, where it is not 0. */
  exitWith(code: number): void;
}

/** For an option that takes a whole number within bounds. */
export function wholeNumber(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d{1,15}$/.test(text) || value < least || value > most) {
      throw new InvalidArgumentError(`It takes a whole number from ${least} to ${most}.`);
    }
    return value;
  };
}

/** For an option that may be given several times. */
export function collect(value: string, before: readonly string[] | undefined): string[] {
  return [...(before ?? []), value];
}
