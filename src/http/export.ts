import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import { exportFormats, exportTask, streamOf } from "../runs/export-task.ts";
import type { HttpContext, HttpEnv } from "./context.ts";
import { failures } from "./schemas.ts";
import { taskIdOf } from "./tasks.ts";
import { rejectInvalid } from "./validation.ts";

export function exportRoutes(context: HttpContext) {
  return new OpenAPIHono<HttpEnv>({ defaultHook: rejectInvalid }).openapi(
    createRoute({
      method: "get",
      path: "/tasks/{id}/export",
      summary: "A task as one file: an archive of JSON and patches (.tar.gz), Markdown, or a page of HTML",
      request: {
        params: z.object({ id: z.string() }),
        query: z.object({ format: z.enum(exportFormats).default("json") }),
      },
      responses: { 200: { description: "The file" }, ...failures },
    }),
    (c) => {
      const id = taskIdOf(c.req.valid("param").id);
      const { fileName, mediaType, bytes } = exportTask(context, id, c.req.valid("query").format);
      return c.body(streamOf(bytes), 200, {
        "Content-Type": mediaType,
        // Never shown from the appliance's own address: it holds what agents wrote.
        "Content-Disposition": `attachment; filename="${fileName}"`,
        "Cache-Control": "no-store",
      });
    },
  );
}
