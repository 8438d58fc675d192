import { z } from "@hono/zod-openapi";
import { type Environment, environmentSchema, limitsSchema } from "../domain/environment.ts";
import { credentialSchema, egressInputSchema, egressLimitsSchema } from "../domain/environment-egress.ts";
import { CcwError } from "../domain/errors.ts";
import { rejectInvalid } from "./validation.ts";

/** A list as a whole, or what is to be added to it and taken from it. */
const listEdit = z
  .union([
    z.array(z.string()),
    z.strictObject({ add: z.array(z.string()).default([]), remove: z.array(z.string()).default([]) }),
  ])
  .optional();

const egressLimits = egressLimitsSchema.shape;

/** What an edit may leave out stays as it is. A variable or secret set to null is removed. */
export const editSchema = z.object({
  image: environmentSchema.shape.image.unwrap().optional(),
  access: environmentSchema.shape.access.unwrap().optional(),
  setupScript: environmentSchema.shape.setupScript.unwrap().optional(),
  // Without their defaults: what is left out of an edit is no wish for the default.
  limits: z
    .object({
      memoryBytes: limitsSchema.shape.memoryBytes.unwrap().optional(),
      cpus: limitsSchema.shape.cpus.unwrap().optional(),
      pids: limitsSchema.shape.pids.unwrap().optional(),
      minutes: limitsSchema.shape.minutes.unwrap().optional(),
      turns: limitsSchema.shape.turns.unwrap().optional(),
      tokens: limitsSchema.shape.tokens.unwrap().optional(),
      usd: limitsSchema.shape.usd.unwrap().optional(),
    })
    .optional(),
  variables: z.record(z.string(), z.string().nullable()).optional(),
  secrets: z.record(z.string(), z.string().nullable()).optional(),
  egress: z
    .strictObject({
      allow: listEdit,
      deny: listEdit,
      groupsOff: listEdit,
      /** As a whole, or to be added (in the place of one for the same host and header) and removed (`HOST HEADER`). */
      credentials: z
        .union([
          z.array(credentialSchema),
          z.strictObject({
            add: z.array(credentialSchema).default([]),
            remove: z.array(z.string()).default([]),
          }),
        ])
        .optional(),
      limits: z
        .strictObject({
          uploadBytes: egressLimits.uploadBytes.unwrap().optional(),
          requestBytes: egressLimits.requestBytes.unwrap().optional(),
          requestsPerMinute: egressLimits.requestsPerMinute.unwrap().optional(),
          connections: egressLimits.connections.unwrap().optional(),
          namesPerMinute: egressLimits.namesPerMinute.unwrap().optional(),
        })
        .optional(),
    })
    .optional(),
});
type Edit = z.infer<typeof editSchema>;

const added = <Lines extends z.ZodType>(lines: Lines) => z.object({ add: lines });
/** What is to be added to lists, by itself: a mistake is told by its place in the edit, not in the whole list. */
const additionsSchema = z.object({
  egress: z.object({
    allow: added(egressInputSchema.shape.allow),
    deny: added(egressInputSchema.shape.deny),
    groupsOff: added(egressInputSchema.shape.groupsOff),
  }),
});

/** The environment after the edit, checked whole. Throws `invalid`, with every line of a list that is wrong. */
export function edited(before: Environment, edit: Edit): Environment {
  const { variables, secrets, limits, egress = {}, ...rest } = edit;
  const { allow, deny, groupsOff, credentials, limits: egressEdit } = egress;
  rejectInvalid(
    additionsSchema.safeParse({
      egress: {
        allow: { add: additionsOf(allow) },
        deny: { add: additionsOf(deny) },
        groupsOff: { add: additionsOf(groupsOff) },
      },
    }),
  );
  const after = environmentSchema.safeParse({
    ...before,
    ...rest,
    limits: { ...before.limits, ...limits },
    variables: withoutNull({ ...before.variables, ...variables }),
    secrets: withoutNull({ ...before.secrets, ...secrets }),
    egress: {
      allow: editedList("rules", before.egress.allow, allow),
      deny: editedList("denied hosts", before.egress.deny, deny),
      groupsOff: editedList("groups switched off", before.egress.groupsOff, groupsOff),
      credentials: editedCredentials(before.egress.credentials, credentials),
      limits: { ...before.egress.limits, ...egressEdit },
    },
  });
  rejectInvalid(after);
  return after.data;
}

function withoutNull(values: Record<string, string | null>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(values).filter((entry): entry is [string, string] => entry[1] !== null),
  );
}

function additionsOf(edit: z.infer<typeof listEdit>): readonly string[] {
  return edit === undefined || Array.isArray(edit) ? [] : edit.add;
}

function editedList(
  what: string,
  before: readonly string[],
  edit: z.infer<typeof listEdit>,
): readonly string[] {
  if (edit === undefined) return before;
  if (Array.isArray(edit)) return edit;
  const gone = new Set(edit.remove.map((line) => standing(what, before, line)));
  return [...before.filter((line) => !gone.has(line)), ...edit.add];
}

type Credential = z.infer<typeof credentialSchema>;

function editedCredentials(
  before: readonly Credential[],
  edit: NonNullable<Edit["egress"]>["credentials"],
): readonly Credential[] {
  if (edit === undefined) return before;
  if (Array.isArray(edit)) return edit;
  const names = before.map(nameOf);
  const gone = new Set([
    ...edit.remove.map((line) => standing("credentials", names, line)),
    ...edit.add.map(nameOf),
  ]);
  return [...before.filter((credential) => !gone.has(nameOf(credential))), ...edit.add];
}

function nameOf({ host, header }: Credential): string {
  return `${host} ${header}`.toLowerCase();
}

/** The line that is meant, however it is spaced or cased: a slip of the pen must not leave a hole open. */
function standing(what: string, lines: readonly string[], wanted: string): string {
  const plain = (line: string) => line.trim().replace(/\s+/g, " ").toLowerCase();
  const found = lines.find((line) => line === wanted) ?? lines.find((line) => plain(line) === plain(wanted));
  if (found !== undefined) return found;
  throw new CcwError(
    "not_found",
    `${JSON.stringify(wanted.slice(0, 200))} is not among the ${what}, so it cannot be removed.`,
    lines.length === 0 ? "There are none." : `There are: ${lines.slice(0, 20).join(", ")}.`,
  );
}
