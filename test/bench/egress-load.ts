import { z } from "zod";
import { loadGets } from "./egress-load-gets.ts";
import { startMixedLoad } from "./egress-load-mixed.ts";
import { loadTransfer } from "./egress-load-transfer.ts";
import { holdTunnels, loadBytes, loadTunnels } from "./egress-load-tunnels.ts";
import { servePart } from "./egress-stage.ts";
import { wayInSchema } from "./egress-way.ts";

/** The load generator of the egress benchmarks: a process of its own that carries out one job after another. */
const jobSchema = z.discriminatedUnion("kind", [
  /** As many GETs as `seconds` take, on connections that are kept where the other side keeps them. */
  z.object({
    kind: z.literal("gets"),
    way: wayInSchema,
    port: z.number(),
    through: z.enum(["http", "tunnel"]),
    atOnce: z.number(),
    seconds: z.number(),
  }),
  /** As many new tunnels. */
  z.object({
    kind: z.literal("tunnels"),
    way: wayInSchema,
    port: z.number(),
    inside: z.enum(["tls", "hello"]),
    atOnce: z.number(),
    seconds: z.number(),
  }),
  /** One body each through `atOnce` tunnels. */
  z.object({
    kind: z.literal("bytes"),
    way: wayInSchema,
    port: z.number(),
    direction: z.enum(["down", "up"]),
    atOnce: z.number(),
    bytesEach: z.number(),
  }),
  /** Opens tunnels, a TLS handshake and one small request in each, and keeps them until `release`. */
  z.object({ kind: z.literal("hold"), way: wayInSchema, port: z.number(), tunnels: z.number() }),
  z.object({ kind: z.literal("release") }),
  /** One body in which one end is slow. */
  z.object({
    kind: z.literal("transfer"),
    way: wayInSchema,
    port: z.number(),
    through: z.enum(["http", "tunnel"]),
    direction: z.enum(["down", "up"]),
    slow: z.enum(["client", "origin"]),
    bytes: z.number(),
    pace: z.number(),
  }),
  /** A mixture of everything that comes to a door, until `release`. */
  z.object({
    kind: z.literal("mix"),
    way: wayInSchema,
    ports: z.object({ plain: z.number(), tls: z.number(), inspected: z.number() }),
    atOnce: z.number(),
  }),
]);
export type LoadJob = z.infer<typeof jobSchema>;

if (import.meta.main) {
  let release: (() => unknown) | undefined;
  servePart({}, async (question) => {
    const job = jobSchema.parse(question);
    switch (job.kind) {
      case "gets":
        return loadGets(job);
      case "tunnels":
        return loadTunnels(job);
      case "bytes":
        return loadBytes(job);
      case "hold": {
        const held = await holdTunnels(job);
        release = held.release;
        return { open: held.open, failures: held.failures };
      }
      case "transfer":
        return loadTransfer(job);
      case "mix":
        release = startMixedLoad(job);
        return {};
      case "release": {
        const said = await release?.();
        release = undefined;
        return said ?? {};
      }
    }
  });
}
