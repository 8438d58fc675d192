import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import { createMiddleware } from "hono/factory";
import { attachmentName, isPicture } from "../domain/attachment.ts";
import { CcwError } from "../domain/errors.ts";
import { isId, newId } from "../domain/ids.ts";
import type { HttpContext, HttpEnv } from "./context.ts";
import { failures, json } from "./schemas.ts";
import { attachmentSchema } from "./task-schemas.ts";
import { rejectInvalid } from "./validation.ts";

/** Where the bodies of requests are files, which have a limit of their own. */
export const uploadPath = "/api/attachments";

/**
 * What people upload for prompts: raw bodies in, one file each, and the bytes again. A file is anybody's; a browser
 * shows none as a page, runs nothing in it, and displays pictures alone.
 */
export function attachmentRoutes({ store, attachments, ids }: HttpContext) {
  return new OpenAPIHono<HttpEnv>({ defaultHook: rejectInvalid })
    .openapi(
      createRoute({
        method: "post",
        path: "/attachments",
        summary: "Upload a file for a prompt or a schedule; it is removed after a day unless one takes it",
        request: {
          query: z.object({ name: z.string().max(1000).default("") }),
          body: {
            content: {
              "application/octet-stream": { schema: z.string().openapi({ format: "binary" }) },
            },
            required: true,
          },
        },
        responses: { 201: json(attachmentSchema, "The attachment, to be named in a prompt"), ...failures },
      }),
      async (c) => {
        const body = c.req.raw.body;
        if (body === null) throw new CcwError("invalid", "The attachment is empty.");
        const id = newId("AttachmentId", ids);
        const length = c.req.header("content-length");
        const { bytes, mediaType } = await attachments.take(
          id,
          cutOffTold(body),
          length === undefined ? undefined : Number(length),
        );
        const attachment = { id, name: attachmentName(c.req.valid("query").name), mediaType, bytes };
        try {
          store.attachments.add({ ...attachment, person: c.get("person").id });
        } catch (thrown) {
          await attachments.remove(id);
          throw thrown;
        }
        return c.json(attachment, 201);
      },
    )
    .openapi(
      createRoute({
        method: "get",
        path: "/attachments/{id}",
        summary: "The bytes of an attachment",
        request: { params: z.object({ id: z.string() }) },
        responses: {
          200: { description: "The file, to be saved; a picture may be shown" },
          304: { description: "The same as before" },
          ...failures,
        },
      }),
      async (c) => {
        const { id } = c.req.valid("param");
        const row = isId("AttachmentId", id) ? store.attachments.get(id) : undefined;
        // What no prompt and no schedule has yet is its uploader's own.
        const theirs = row?.held === true || row?.person === c.get("person").id;
        const file = row !== undefined && theirs ? await attachments.find(row.file) : undefined;
        if (row === undefined || file === undefined)
          throw new CcwError("not_found", "There is no such attachment.");
        // An id names the same bytes for ever; who may have them is asked each time.
        const caching = { ETag: `"${row.id}"`, "Cache-Control": "private, no-cache" };
        if (c.req.header("if-none-match") === caching.ETag) return c.body(null, 304, caching);
        const shown = isPicture(row.mediaType);
        const name = encodeURIComponent(row.name).replace(/['()*]/g, escapeMark);
        return c.body(Bun.file(file.path).stream(), 200, {
          "Content-Type": shown ? row.mediaType : "application/octet-stream",
          "Content-Length": String(file.bytes),
          "Content-Disposition": `${shown ? "inline" : "attachment"}; filename*=UTF-8''${name}`,
          ...caching,
        });
      },
    );
}

/** Bytes that somebody uploaded are no page of ours, whatever a browser takes them for. */
export const withoutRights = createMiddleware(async (c, next) => {
  await next();
  c.res.headers.set("Content-Security-Policy", "default-src 'none'; sandbox");
  c.res.headers.set("X-Content-Type-Options", "nosniff");
});

const escapeMark = (mark: string): string => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`;

/** An upload whose sender goes away is invalid, and no defect of ours. */
async function* cutOffTold(body: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* body;
  } catch (cause) {
    throw new CcwError("invalid", "The upload was cut off.", "Attach the file again.", { cause });
  }
}
