import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import { CcwError } from "../domain/errors.ts";
import type { Forge } from "../domain/forge.ts";
import { forgeAt, pathOf, remoteAddress } from "../domain/forge-address.ts";
import {
  parseBranchName,
  parseRepositoryName,
  type RemoteRepository,
  type Repository,
} from "../domain/repository.ts";
import { activeStateKinds } from "../domain/task.ts";
import type { HttpContext, HttpEnv } from "./context.ts";
import { atForge } from "./forges.ts";
import { body, failures, json, repositorySchema } from "./schemas.ts";
import { rejectInvalid } from "./validation.ts";

const repositoryName = z.object({ repository: z.string().max(1000) });
/** What is left out stays as it is. */
const pushSchema = z.object({ force: z.boolean().optional(), delete: z.boolean().optional() });
const branch = z.string().max(244).default("");

/** A name for one that the appliance is to host, or where an existing one lives. */
const addSchema = z.union([
  z.object({ name: z.string(), defaultBranch: z.string().default("main") }),
  /** Its address, on a forge that is connected. */
  z.object({ url: z.string().max(1000), defaultBranch: branch }),
  /** Its path on that forge. */
  z.object({ forge: z.string(), path: z.string().max(1000), defaultBranch: branch }),
]);

const maxBranches = 1000;

export function repositoryRoutes({ store, host, forges, ids, publicUrl, syncRepository }: HttpContext) {
  const toJson = (repository: Repository) =>
    repository.kind === "hosted"
      ? { ...repository, url: `${publicUrl()}/git/${repository.name}.git` }
      : { ...repository, url: repository.cloneUrl };

  const found = (name: string): Repository => {
    const repository = store.repositories.get(name);
    if (repository !== undefined) return repository;
    throw new CcwError(
      "not_found",
      `There is no repository named ${JSON.stringify(name.slice(0, 100))}.`,
      "`ccw-server repo list` shows those there are.",
    );
  };

  async function addHosted(name: string, defaultBranch: string): Promise<Repository> {
    const repository: Repository = {
      name: parseRepositoryName(name),
      kind: "hosted",
      defaultBranch: parseBranchName(defaultBranch),
      push: { force: false, delete: false },
      createdAt: ids.now(),
    };
    if (store.repositories.get(name) !== undefined) {
      throw new CcwError("conflict", `There is a repository named ${name} already.`, "Choose another name.");
    }
    await host.create(name, { defaultBranch });
    store.repositories.add(repository);
    return repository;
  }

  /** What the forge says of it; a plain git server is asked for its branches, and has HEAD among them. */
  async function addRemote(forge: Forge, wanted: string, defaultBranch: string): Promise<Repository> {
    remoteAddress(forge, wanted);
    const api = forges.apiOf(forge.name);
    const known = api && (await atForge(() => api.repository(wanted)));
    const path = known?.path ?? wanted;
    const head = defaultBranch || (known?.defaultBranch ?? "") || "main";
    const repository: RemoteRepository = {
      kind: "remote",
      // Not as the forge says it: the credential goes to this address.
      ...remoteAddress(forge, path),
      ...{ forge: forge.name, path, webUrl: known?.webUrl ?? "", createdAt: ids.now() },
      defaultBranch: parseBranchName(head),
      push: { force: false, delete: false },
    };
    store.repositories.add(repository);
    if (api !== undefined) return repository;
    try {
      await host.branches(repository.name);
    } catch (thrown) {
      store.repositories.remove(repository.name);
      throw thrown;
    }
    return repository;
  }

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
        summary: "Make an empty repository, hosted by the appliance, or add one of a forge",
        request: { body: body(addSchema) },
        responses: { 201: json(repositorySchema, "The repository"), ...failures },
      }),
      async (c) => {
        const wish = c.req.valid("json");
        if ("name" in wish) return c.json(toJson(await addHosted(wish.name, wish.defaultBranch)), 201);
        const place = "url" in wish ? forgeOf(store.forges.list(), wish.url) : forgeNamed(store.forges, wish);
        return c.json(toJson(await addRemote(place.forge, place.path, wish.defaultBranch)), 201);
      },
    )
    .openapi(
      createRoute({
        method: "patch",
        path: "/repositories",
        summary: "Say what tasks may do to their own branches; in force at once",
        request: { body: body(repositoryName.extend({ push: pushSchema })) },
        responses: { 200: json(repositorySchema, "The repository"), ...failures },
      }),
      (c) => {
        const { repository: name, push } = c.req.valid("json");
        const { push: before } = found(name);
        store.repositories.update(name, {
          push: { force: push.force ?? before.force, delete: push.delete ?? before.delete },
        });
        return c.json(toJson(found(name)), 200);
      },
    )
    .openapi(
      createRoute({
        method: "delete",
        path: "/repositories",
        summary: "Forget a repository of a forge; nothing changes there",
        request: { query: repositoryName },
        responses: { 204: { description: "Forgotten" }, ...failures },
      }),
      (c) => {
        const { name, kind } = found(c.req.valid("query").repository);
        if (kind === "hosted") {
          throw new CcwError(
            "conflict",
            `The appliance itself hosts ${name}: what is in it may be nowhere else.`,
            "It is kept. Clone it first if you want to move it.",
          );
        }
        const tasks = store.tasks.list({ limit: 1000, states: ["queued", "paused", ...activeStateKinds] });
        const user = tasks.find(({ repositories }) => repositories.some((each) => each.name === name));
        if (user !== undefined) {
          const text = `A task that is not over works on ${name}: ${user.title.slice(0, 80)}.`;
          throw new CcwError("conflict", text, "Wait for it, or cancel it.");
        }
        store.repositories.remove(name);
        return c.body(null, 204);
      },
    )
    .openapi(
      createRoute({
        method: "post",
        path: "/repositories/sync",
        summary: "Bring what the appliance has of a repository up to date",
        request: { body: body(repositoryName) },
        responses: { 200: json(repositorySchema, "The repository"), ...failures },
      }),
      async (c) => {
        const repository = found(c.req.valid("json").repository);
        await atForge(() => syncRepository(repository.name));
        const api = repository.kind === "remote" ? forges.apiOf(repository.forge) : undefined;
        if (repository.kind === "remote" && api !== undefined) {
          const { defaultBranch, webUrl } = await atForge(() => api.repository(repository.path));
          store.repositories.update(repository.name, {
            webUrl,
            ...(defaultBranch !== "" && { defaultBranch: parseBranchName(defaultBranch) }),
          });
        }
        return c.json(toJson(found(repository.name)), 200);
      },
    )
    .openapi(
      createRoute({
        method: "get",
        path: "/branches",
        summary: "A repository's branches, as they are now",
        request: { query: repositoryName.extend({ search: z.string().max(200).default("") }) },
        responses: { 200: json(z.array(z.string()), "Branch names, at most a thousand"), ...failures },
      }),
      async (c) => {
        const { repository: name, search } = c.req.valid("query");
        const repository = found(name);
        const api = repository.kind === "remote" ? forges.apiOf(repository.forge) : undefined;
        if (repository.kind === "remote" && api !== undefined) {
          const names: string[] = [];
          for (let page: string | undefined; names.length < maxBranches; ) {
            const filter = { ...(search !== "" && { search }), ...(page !== undefined && { page }) };
            const listed = await atForge(() => api.branches(repository.path, filter));
            names.push(...listed.items);
            page = listed.next;
            if (page === undefined) break;
          }
          return c.json(names.slice(0, maxBranches), 200);
        }
        const names = (await atForge(() => host.branches(name))).map((each) => each.name);
        const wanted = names.filter((each) => each.toLowerCase().includes(search.toLowerCase()));
        return c.json(wanted.slice(0, maxBranches), 200);
      },
    );
}

function forgeOf(forges: readonly Forge[], address: string): { forge: Forge; path: string } {
  const found = forgeAt(forges, address);
  if (found !== undefined) return found;
  const url = URL.parse(address);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new CcwError(
      "invalid",
      "That is no address of a repository that the appliance can reach.",
      "Give its https address, as in https://github.com/owner/name; ssh is not spoken.",
    );
  }
  if (url.username !== "" || url.password !== "") {
    throw new CcwError(
      "invalid",
      "The address has a user or a password in it.",
      "Leave them out; give the credential to its forge: ccw-server forge add NAME --token-stdin",
    );
  }
  const kind = url.hostname === "github.com" ? "github" : url.hostname === "gitlab.com" ? "gitlab" : "KIND";
  const name = kind === "KIND" ? "NAME" : kind;
  throw new CcwError(
    "not_found",
    `No forge is connected at ${url.origin}.`,
    `Connect it first: ccw-server forge add ${name} ${url.origin} --kind ${kind} (with --token-stdin for more than reading what is public).`,
  );
}

function forgeNamed(
  forges: { get(name: string): Forge | undefined },
  { forge: name, path }: { forge: string; path: string },
): { forge: Forge; path: string } {
  const forge = forges.get(name);
  if (forge !== undefined) return { forge, path: pathOf(path) };
  const text = `There is no forge named ${JSON.stringify(name.slice(0, 100))}.`;
  throw new CcwError("not_found", text, "`ccw-server forge list` shows those there are.");
}
