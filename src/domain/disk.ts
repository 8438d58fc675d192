import { messageOf } from "./errors.ts";

/** Whether a system call failed for want of disk. */
export function isNoSpace(thrown: unknown): boolean {
  return (
    thrown instanceof Error && "code" in thrown && (thrown.code === "ENOSPC" || thrown.code === "EDQUOT")
  );
}

/** What git says of a full disk, the appliance's or the sandbox's own; the last two are all that receive-pack says of one at times. */
const fullDisk =
  /no space left|disk quota exceeded|disk is full|unable to create temporary object directory|couldn't write '.*\.lock'/i;

/** Whether it failed for want of disk, by itself or in the words of a program that it ran. */
export const isOfNoSpace = (thrown: unknown): boolean => isNoSpace(thrown) || saysNoSpace(messageOf(thrown));

/** Whether a program's output speaks of a full disk. */
export const saysNoSpace = (output: string): boolean => fullDisk.test(output);
