import { z } from "zod";
import { bytesText } from "./amounts.ts";
import { minSecretLength } from "./secret-names.ts";

/** What an environment says of egress, as it is kept: rules are canonical text, checked when they were saved. */

const GiB = 1024 ** 3;
const TiB = 1024 * GiB;

export const egressLimitsSchema = z.object({
  /** Of all requests and tunnels, over the sandbox's whole life. */
  uploadBytes: z
    .number()
    .int()
    .min(0)
    .max(1024 * TiB)
    .default(GiB),
  /** Of one request's body. */
  requestBytes: z
    .number()
    .int()
    .min(0)
    .max(TiB)
    .default(GiB / 4),
  requestsPerMinute: z.number().int().min(1).max(10_000_000).default(6000),
  /** Tunnels and requests under way at once. */
  connections: z.number().int().min(1).max(10_000).default(256),
  /** Distinct names below wildcards, in any minute. */
  namesPerMinute: z.number().int().min(1).max(1_000_000).default(120),
});

/** A header that the proxy adds on the way to a host; the value comes from a secret, which no sandbox sees. */
export const credentialSchema = z.object({
  /** One exact host. */
  host: z.string().max(300),
  header: z.string().max(100),
  /** `Bearer ${NAME}`, with the name of a secret of this environment. */
  template: z.string().max(4000),
});
export type EnvironmentCredential = z.infer<typeof credentialSchema>;

const lines = z.array(z.string().max(2000)).max(1000, "is a list of at most 1000");

export const egressSchema = z.object({
  /** Rules, in addition to those of the access level: `HOST [port=N] [methods=GET] [path=/x] [write] …`. */
  allow: lines.default([]),
  /** Host patterns that are refused, whatever else allows them. */
  deny: lines.default([]),
  /** Groups of the default list that are switched off. */
  groupsOff: lines.default([]),
  credentials: z.array(credentialSchema).max(100).default([]),
  limits: egressLimitsSchema.default(egressLimitsSchema.parse({})),
});
export type EnvironmentEgress = z.infer<typeof egressSchema>;

/** Values for credentials; no sandbox sees one. */
export const secretsSchema = z
  .record(
    z
      .string()
      .regex(
        /^[A-Za-z_][A-Za-z0-9_]{0,199}$/,
        "A secret's name has letters, digits and underscores, and starts with no digit.",
      ),
    z
      .string()
      .min(
        minSecretLength,
        `A secret has at least ${minSecretLength} characters: a shorter one would be found in honest requests.`,
      )
      .max(16 * 1024, `A secret has at most ${bytesText(16 * 1024)}.`)
      .regex(
        /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/,
        "A secret has printable ASCII characters alone and no space at its ends: it is sent in a header.",
      ),
  )
  .default({});
