import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import { type Environment, environmentSchema } from "../domain/environment.ts";
import { CcwError } from "../domain/errors.ts";
import { hostsOfForges } from "../domain/forge-address.ts";
import { hostOfModel } from "../runs/egress.ts";
import { environmentNamed } from "../runs/submit.ts";
import type { HttpContext, HttpEnv } from "./context.ts";
import { edited, editSchema } from "./environment-edit.ts";
import { body, environmentJsonSchema, failures, json } from "./schemas.ts";
import { rejectInvalid } from "./validation.ts";

const params = z.object({ name: z.string() });

export function environmentRoutes({ store, model }: HttpContext) {
  const found = (name: string) => environmentNamed(store, name);

  /** Nothing is injected on the way to the model or a forge, whose credentials are the appliance's own business. */
  const save = (environment: Environment) => {
    const forges = hostsOfForges(store.forges.list());
    const ours = environment.egress.credentials.find((credential) => forges.has(credential.host));
    if (ours !== undefined) {
      throw new CcwError(
        "invalid",
        `A credential for ${ours.host} is refused: that host is a forge, and the appliance itself speaks to it.`,
        "Leave it out: git reaches the task's repositories without it.",
      );
    }
    const host = model
      .all()
      .map(hostOfModel)
      .find((each) => environment.egress.credentials.some((credential) => credential.host === each));
    if (host !== undefined) {
      throw new CcwError(
        "invalid",
        `A credential for ${host} is refused: that host serves the model, and the appliance itself speaks to it.`,
        "Leave it out: the agent reaches the model without it.",
      );
    }
    store.environments.save(environment);
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
        save(environment);
        return c.json(toJson(environment), 201);
      },
    )
    .openapi(
      createRoute({
        method: "patch",
        path: "/environments/{name}",
        summary: "Change an environment; its egress at once, all else for tasks to come",
        request: { params, body: body(editSchema) },
        responses: { 200: json(environmentJsonSchema, "The environment"), ...failures },
      }),
      (c) => {
        const before = found(c.req.valid("param").name);
        save(edited(before, c.req.valid("json")));
        return c.json(toJson(found(before.name)), 200);
      },
    );
}

function toJson({ variables, secrets, ...environment }: Environment) {
  return {
    ...environment,
    variables: Object.keys(variables).sort(),
    secrets: Object.keys(secrets).sort(),
  };
}
