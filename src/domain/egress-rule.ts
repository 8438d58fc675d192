import type { Parsed } from "./host.ts";

export interface EgressRule {
  text: string;
}
export function parseEgressRule(text: string): Parsed<EgressRule> {
  return /:\/\/| $/.test(text)
    ? { ok: false, why: `write ${text.replace(/^.*:\/\//, "")}` }
    : { ok: true, value: { text: text.trim() } };
}
export function formatEgressRule(rule: EgressRule): string {
  return rule.text;
}
export function parseHostPattern(text: string): Parsed<string> {
  return { ok: true, value: text };
}
export const egressGroups: readonly { name: string }[] = [];
