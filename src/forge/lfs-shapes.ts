import { z } from "zod";
import { plainLine } from "../domain/plain-text.ts";

/** What an LFS server answers, as far as it is passed on; everything else is left out. */

const maxHeaderBytes = 8 * 1024;

const headers = z
  .record(z.string().regex(/^[\w!#$%&'*+.^`|~-]{1,100}$/), z.string().regex(/^[\t\x20-\x7e\x80-\xff]*$/))
  .refine((all) => JSON.stringify(all).length <= maxHeaderBytes, "too many headers");

const action = z.object({
  href: z.string().max(8192),
  header: headers.nullish(),
  expires_in: z.number().nullish(),
  expires_at: z.string().max(100).nullish(),
});
export type LfsActionAnswer = z.infer<typeof action>;

const text = z.string().transform((message) => plainLine(message).slice(0, 500));

export const batchAnswerShape = z.object({
  transfer: z.literal("basic").nullish(),
  hash_algo: z.literal("sha256").nullish(),
  objects: z
    .array(
      z.object({
        oid: z.string().max(200),
        size: z.number().int().min(0).max(Number.MAX_SAFE_INTEGER),
        authenticated: z.boolean().nullish(),
        actions: z
          .object({ download: action.nullish(), upload: action.nullish(), verify: action.nullish() })
          .nullish(),
        error: z.object({ code: z.number().int().min(400).max(599), message: text }).nullish(),
      }),
    )
    .max(10_000),
});
export type BatchAnswer = z.infer<typeof batchAnswerShape>;

const lock = z.object({
  id: z.string().max(200),
  path: z.string().max(4096),
  locked_at: z.string().max(100),
  owner: z.object({ name: text }).nullish(),
});
const cursor = z.string().max(1000).nullish();

export const locksShape = z.object({ locks: z.array(lock), next_cursor: cursor });
export const verifiedLocksShape = z.object({
  ours: z.array(lock),
  theirs: z.array(lock),
  next_cursor: cursor,
});

export const errorShape = z.object({ message: text });
