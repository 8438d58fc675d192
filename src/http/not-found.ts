import type { Context } from "hono";
import { CcwError } from "../domain/errors.ts";
import type { Log } from "../domain/ports.ts";
import { errorResponse } from "./errors.ts";

/** An address that nothing answers at: a page for whoever looks at it in a browser, JSON for programs and all of the API. */
export function notFound(context: Context, log: Log): Response | Promise<Response> {
  const inBrowser =
    context.req.header("accept")?.includes("text/html") && !/^\/api(\/|$)/.test(context.req.path);
  if (inBrowser) return context.html(page, 404, { vary: "Accept" });
  return errorResponse(context, new CcwError("not_found", "There is nothing at this address."), log);
}

/** Of nothing but words: a stranger sees it, too, and the policy of pages allows no style of its own. */
const page = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>Not found · ccw-server</title>
</head>
<body>
<h1>There is nothing at this address</h1>
<p><a href="/">To the start page of ccw-server</a></p>
</body>
</html>
`;
