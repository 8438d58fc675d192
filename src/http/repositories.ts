import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import { CcwError } from "../domain/errors.ts";
import { parseBranchName, parseRepositoryName, type Repository } from "../domain/repository.ts";
import type { HttpContext, HttpEnv } from "./context.ts";
import { body, failures, json, repositorySchema } from "./schemas.ts";
import { rejectInvalid } from "./validation.ts";

export function repositoryRoutes({ store, host, ids, publicUrl }: HttpContext) {
  const toJson = (repository: Repository) => ({
    ...repository,
    url: `${publicUrl()}/git/${repository.name}.git`,
  });

  return new OpenAPIHono<HttpEnv>({ defaultHook: rejectInvalid })
    .openapi(
      createRoute({
        method: "get",
        path: "/repositories",
        summary: "Repositories, by name",
        responses: { 200: json(z.array(repositorySchema), "Repositories"), ...failures },
      }),
      (c) => c.json(store.repositories.list().map(toJson), 200),
    )
    .openapi(
      createRoute({
        method: "post",
        path: "/repositories",
        summary: "Make an empty repository, hosted by the appliance",
        request: { body: body(z.object({ name: z.string(), defaultBranch: z.string().default("main") })) },
        responses: { 201: json(repositorySchema, "The repository"), ...failures },
      }),
      async (c) => {
        const { name, defaultBranch } = c.req.valid("json");
        const repository: Repository = {
          name: parseRepositoryName(name),
          kind: "hosted",
          defaultBranch: parseBranchName(defaultBranch),
          push: { force: false, delete: false },
          createdAt: ids.now(),
        };
        if (store.repositories.get(name) !== undefined) {
          throw new CcwError(
            "conflict",
            `There is a repository named ${name} already.`,
            "Choose another name.",
          );
        }
        await host.create(name, { defaultBranch });
        store.repositories.add(repository);
        return c.json(toJson(repository), 201);
      },
    )
    .openapi(
      createRoute({
        method: "get",
        path: "/branches",
        summary: "A repository's branches",
        request: { query: z.object({ repository: z.string() }) },
        responses: { 200: json(z.array(z.string()), "Branch names"), ...failures },
      }),
      async (c) => {
        const { repository } = c.req.valid("query");
        if (store.repositories.get(repository) === undefined) {
          throw new CcwError(
            "not_found",
            `There is no repository named ${JSON.stringify(repository.slice(0, 100))}.`,
          );
        }
        return c.json(
          (await host.branches(repository)).map(({ name }) => name),
          200,
        );
      },
    );
}
