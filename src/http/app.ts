import { OpenAPIHono } from "@hono/zod-openapi";
import { bodyLimit } from "hono/body-limit";
import { secureHeaders } from "hono/secure-headers";
import { CcwError } from "../domain/errors.ts";
import { maxPromptBytes } from "../domain/task.ts";
import { assetResponse } from "./assets.ts";
import { attachmentRoutes, uploadPath, withoutRights } from "./attachments.ts";
import { checkHost, requirePerson, signIn, signOut } from "./auth.ts";
import type { HttpContext, HttpEnv } from "./context.ts";
import { egressRoutes } from "./egress.ts";
import { environmentRoutes } from "./environments.ts";
import { errorResponse } from "./errors.ts";
import { exportRoutes } from "./export.ts";
import { createForgeAppFlow } from "./forge-app.ts";
import { forgeRoutes } from "./forges.ts";
import { gitRoutes } from "./git.ts";
import { groupRoutes } from "./groups.ts";
import { liveRoutes } from "./live.ts";
import { notFound } from "./not-found.ts";
import { notificationRoutes } from "./notifications.ts";
import { promptRoutes } from "./prompts.ts";
import { pullRequestRoutes } from "./pull-requests.ts";
import { putAwayRoutes } from "./put-away.ts";
import { repositoryRoutes } from "./repositories.ts";
import { scheduleRoutes } from "./schedules.ts";
import { searchRoutes } from "./search.ts";
import { settingRoutes } from "./settings.ts";
import { snapshotRoutes } from "./snapshots.ts";
import { taskRoutes } from "./tasks.ts";
import { teleportRoutes, ticketRoutes } from "./teleport.ts";
import { triggerRoutes } from "./triggers.ts";
import { usageRoutes } from "./usage.ts";
import { webhookRoutes } from "./webhooks.ts";

/** A prompt of 1 MiB escaped as JSON, and room for the rest of a task. */
const maxBody = 4 * maxPromptBytes;

/** Everything that answers on the appliance's port. Nothing does without a session or a token, but what stands above `requirePerson`. */
export function createApp(context: HttpContext) {
  const app = new OpenAPIHono<HttpEnv>();
  app.onError((thrown, c) => errorResponse(c, thrown, context.log));
  app.notFound((c) => notFound(c, context.log));

  // Its form goes to a forge, which the policy of every other page forbids: it has one of its own.
  const appFlow = createForgeAppFlow(context);
  const appPages = new OpenAPIHono<HttpEnv>();
  appPages.use(checkHost(context), requirePerson(context));
  appPages.onError((thrown, c) => errorResponse(c, thrown, context.log));
  appPages.get("/app", appFlow.page);
  appPages.get("/app/callback", appFlow.callback);
  app.route("/settings/forges/:name", appPages);

  // Stands outside of the page's policy, so that its own comes last.
  app.use(`${uploadPath}/*`, withoutRights);
  app.use(
    secureHeaders({
      contentSecurityPolicy: {
        defaultSrc: ["'none'"],
        scriptSrc: ["'self'"],
        styleSrc: ["'self'"],
        imgSrc: ["'self'", "data:"],
        fontSrc: ["'self'"],
        connectSrc: ["'self'"],
        manifestSrc: ["'self'"],
        formAction: ["'self'"],
        baseUri: ["'none'"],
        frameAncestors: ["'none'"],
      },
      xFrameOptions: "DENY",
      // Plain HTTP on a LAN is a legal way to run the appliance.
      strictTransportSecurity: false,
    }),
  );
  app.use(checkHost(context));

  app.get("/api/health", (c) => c.json({ ok: true }));
  app.get("/sign-in", (c) =>
    signIn(c, context)
      ? c.redirect("/")
      : c.text(
          "This sign-in link was used already or has expired.\nRun `ccw-server link` on the appliance for a new one.\n",
          401,
        ),
  );
  app.route("/git", gitRoutes(context));
  app.route("/webhooks", webhookRoutes(context));
  app.route("/triggers", triggerRoutes(context));
  app.route("/", ticketRoutes(context));

  const api = new OpenAPIHono<HttpEnv>();
  api.use(requirePerson(context));
  const limited = bodyLimit({
    maxSize: maxBody,
    onError: () => {
      throw new CcwError(
        "too_large",
        `The request is over ${maxBody / 1024 / 1024} MiB. A prompt has at most 1 MiB.`,
        "Put long material into a file, attach it, and name it in the prompt.",
      );
    },
  });
  // Files are streamed to the disk, and counted there.
  api.use((c, next) => (c.req.path === uploadPath ? next() : limited(c, next)));
  api.onError((thrown, c) => errorResponse(c, thrown, context.log));
  const routes = api
    .route("/", taskRoutes(context))
    .route("/", putAwayRoutes(context))
    .route("/", searchRoutes(context))
    .route("/", exportRoutes(context))
    .route("/", snapshotRoutes(context))
    .route("/", promptRoutes(context))
    .route("/", attachmentRoutes(context))
    .route("/", groupRoutes(context))
    .route("/", scheduleRoutes(context))
    .route("/", teleportRoutes(context))
    .route("/", pullRequestRoutes(context))
    .route("/", repositoryRoutes(context))
    .route("/", forgeRoutes(context, appFlow))
    .route("/", environmentRoutes(context))
    .route("/", egressRoutes(context))
    .route("/", usageRoutes(context))
    .route("/", settingRoutes(context))
    .route("/", notificationRoutes(context))
    .route("/", liveRoutes(context));
  api.doc31("/openapi.json", {
    openapi: "3.1.0",
    info: { title: "ccw-server", version: context.version },
    servers: [{ url: "/api" }],
  });
  const withApi = app.route("/api", routes);

  app.post("/sign-out", requirePerson(context), (c) => {
    signOut(c, context);
    return c.body(null, 204);
  });

  // The page is for who is signed in; a stranger learns how to sign in and nothing else.
  app.get("/*", async (c, next) => {
    const asset =
      context.assets.get(c.req.path) ?? (isPage(c.req.path) ? context.assets.get("/index.html") : undefined);
    if (asset === undefined) return next();
    try {
      await requirePerson(context)(c, async () => {});
    } catch (thrown) {
      if (!(thrown instanceof CcwError)) throw thrown;
      return c.text(
        "You are not signed in.\nOpen the link that the server printed at its start, or run `ccw-server link` on the appliance.\n",
        401,
      );
    }
    return assetResponse(asset, {
      acceptEncoding: c.req.header("accept-encoding"),
      ifNoneMatch: c.req.header("if-none-match"),
    });
  });
  return withApi;
}

export type App = ReturnType<typeof createApp>;

/** Addresses that the page routes by itself. */
function isPage(path: string): boolean {
  return (
    path === "/" ||
    /^\/(tasks|groups|schedules|settings|environments|repositories|egress|usage)(\/|$)/.test(path)
  );
}
