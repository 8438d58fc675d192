/** Whether a system call failed for want of disk. */
export function isNoSpace(thrown: unknown): boolean {
  return (
    thrown instanceof Error && "code" in thrown && (thrown.code === "ENOSPC" || thrown.code === "EDQUOT")
  );
}
