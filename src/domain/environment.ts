import { z } from "zod";
import { egressInputSchema, egressSchema, secretsSchema, whyNotInjected } from "./environment-egress.ts";

/** Where a task works: image, variables, set-up script, limits, network. */

export const accessLevels = ["none", "limited", "custom", "full"] as const;
export type AccessLevel = (typeof accessLevels)[number];

export const imageSchema = z
  .string()
  .regex(
    /^[A-Za-z0-9][\w./:@-]{0,254}$/,
    "That is not an image reference such as `slim` or `registry/name:tag`.",
  );

export const limitsSchema = z.object({
  /** Bytes of memory, swap included. */
  memoryBytes: z
    .number()
    .int()
    .min(
      256 * 1024 * 1024,
      "A sandbox needs at least 256 MiB of memory: the agent alone takes about 300 MB at its peak.",
    )
    .default(4 * 1024 ** 3),
  /** Processor cores, in fractions if need be. */
  cpus: z.number().min(0.1).max(1024).default(2),
  /** Processes and threads at once. */
  pids: z.number().int().min(64).max(1_000_000).default(2048),
  /** Wall time of the whole task, in minutes. */
  minutes: z
    .number()
    .int()
    .min(1)
    .max(7 * 24 * 60)
    .default(240),
  /** Of one task; 0 for none, as with the two that follow. */
  turns: z.number().int().min(0).max(1_000_000).default(0),
  /** Of all kinds, those that are read from the cache included. */
  tokens: z.number().int().min(0).max(1e15).default(0),
  /** US dollars, by the prices that the operator set. */
  usd: z.number().min(0).max(1_000_000).default(0),
});
export type SandboxLimits = z.infer<typeof limitsSchema>;

const variableName = /^[A-Za-z_][A-Za-z0-9_]*$/;

const fields = z.object({
  name: z
    .string()
    .regex(
      /^[a-z0-9][a-z0-9-]{0,62}$/,
      "An environment's name has 1 to 63 lower-case letters, digits and hyphens, and starts with a letter or digit.",
    ),
  /** A built-in recipe's name (`slim`) or any image that the container engine holds. */
  image: imageSchema.default("slim"),
  access: z.enum(accessLevels).default("none"),
  variables: z
    .record(
      z
        .string()
        .regex(
          variableName,
          "A variable's name has letters, digits and underscores, and starts with no digit.",
        ),
      z
        .string()
        .max(64 * 1024)
        .refine((value) => !value.includes("\0"), "A variable's value cannot hold a NUL character."),
    )
    .default({}),
  setupScript: z
    .string()
    .max(256 * 1024, "The set-up script is over 256 KiB.")
    .default(""),
  limits: limitsSchema.default(limitsSchema.parse({})),
  egress: egressSchema.default(egressSchema.parse({})),
  secrets: secretsSchema,
});

/** As it is kept. Rules were checked when they were saved: what a later version finds wrong in one must still load. */
export const storedEnvironmentSchema = fields;
export type Environment = z.infer<typeof storedEnvironmentSchema>;

/** As it is typed: egress rules are checked, and become canonical text. */
export const environmentSchema = fields
  .extend({ egress: egressInputSchema.default(egressInputSchema.parse({})) })
  .superRefine(({ egress, secrets }, context) => {
    for (const [index, credential] of egress.credentials.entries()) {
      const why = whyNotInjected(credential, Object.keys(secrets));
      if (why !== undefined)
        context.addIssue({ code: "custom", message: why, path: ["egress", "credentials", index] });
    }
  });
export type EnvironmentInput = z.input<typeof environmentSchema>;
