import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import { type Environment, environmentSchema, limitsSchema } from "../domain/environment.ts";
import { CcwError } from "../domain/errors.ts";
import type { HttpContext, HttpEnv } from "./context.ts";
import { body, environmentJsonSchema, failures, json } from "./schemas.ts";
import { rejectInvalid } from "./validation.ts";

const params = z.object({ name: z.string() });

/** What an edit may leave out stays as it is. A variable set to null is removed. */
const editSchema = z.object({
  image: environmentSchema.shape.image.unwrap().optional(),
  access: environmentSchema.shape.access.unwrap().optional(),
  setupScript: environmentSchema.shape.setupScript.unwrap().optional(),
  // Not `limitsSchema.partial()`: a default within it would fill in what the edit leaves out.
  limits: z
    .object({
      memoryBytes: limitsSchema.shape.memoryBytes.unwrap().optional(),
      cpus: limitsSchema.shape.cpus.unwrap().optional(),
      pids: limitsSchema.shape.pids.unwrap().optional(),
      minutes: limitsSchema.shape.minutes.unwrap().optional(),
    })
    .optional(),
  variables: z.record(z.string(), z.string().nullable()).optional(),
});

export function environmentRoutes({ store }: HttpContext) {
  const found = (name: string): Environment => {
    const environment = store.environments.get(name);
    if (environment === undefined) {
      const known = store.environments.list().map((row) => row.name);
      throw new CcwError(
        "not_found",
        `There is no environment named ${JSON.stringify(name.slice(0, 80))}.`,
        `There are: ${known.join(", ")}.`,
      );
    }
    return environment;
  };

  return new OpenAPIHono<HttpEnv>({ defaultHook: rejectInvalid })
    .openapi(
      createRoute({
        method: "get",
        path: "/environments",
        summary: "Environments, by name",
        responses: { 200: json(z.array(environmentJsonSchema), "Environments"), ...failures },
      }),
      (c) => c.json(store.environments.list().map(toJson), 200),
    )
    .openapi(
      createRoute({
        method: "get",
        path: "/environments/{name}",
        summary: "One environment",
        request: { params },
        responses: { 200: json(environmentJsonSchema, "The environment"), ...failures },
      }),
      (c) => c.json(toJson(found(c.req.valid("param").name)), 200),
    )
    .openapi(
      createRoute({
        method: "post",
        path: "/environments",
        summary: "Add an environment",
        request: { body: body(environmentSchema) },
        responses: { 201: json(environmentJsonSchema, "The environment"), ...failures },
      }),
      (c) => {
        const environment = c.req.valid("json");
        if (store.environments.get(environment.name) !== undefined) {
          throw new CcwError(
            "conflict",
            `There is an environment named ${environment.name} already.`,
            `\`ccw-server env edit ${environment.name}\` changes it.`,
          );
        }
        store.environments.save(environment);
        return c.json(toJson(environment), 201);
      },
    )
    .openapi(
      createRoute({
        method: "patch",
        path: "/environments/{name}",
        summary: "Change an environment; tasks that were submitted keep what they had",
        request: { params, body: body(editSchema) },
        responses: { 200: json(environmentJsonSchema, "The environment"), ...failures },
      }),
      (c) => {
        const before = found(c.req.valid("param").name);
        const { variables = {}, limits = {}, ...rest } = c.req.valid("json");
        const merged = Object.entries({ ...before.variables, ...variables }).filter(
          ([, value]) => value !== null,
        );
        const after = environmentSchema.safeParse({
          ...before,
          ...rest,
          limits: { ...before.limits, ...limits },
          variables: Object.fromEntries(merged),
        });
        rejectInvalid(after);
        if (after.success) store.environments.save(after.data);
        return c.json(toJson(found(before.name)), 200);
      },
    );
}

function toJson({ variables, ...environment }: Environment) {
  return { ...environment, variables: Object.keys(variables).sort() };
}
