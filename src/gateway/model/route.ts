import type { ModelApi } from "../../domain/model.ts";
import type { Refusal } from "./api-error.ts";
import { refusal } from "./api-error.ts";

export type Route =
  | { kind: "hello" }
  /** `path` is one of ours, not the sandbox's: what is sent on is never what came in. */
  | { kind: "forward"; api: ModelApi; path: string; metered: boolean }
  | { kind: "refuse"; refused: Refusal };

/**
 * Which requests of the Messages API and the Responses API pass the door: the ones an agent needs to think. The rest,
 * such as their Files, could carry the source away under a key of somebody else's.
 */
export function routeOf(method: string, target: string): Route {
  const mark = target.indexOf("?");
  const path = mark < 0 ? target : target.slice(0, mark);
  const query = mark < 0 ? "" : target.slice(mark);

  if (!/^[A-Za-z0-9/_-]*$/.test(path) || path.includes("//")) {
    return refuse(
      400,
      "invalid_request_error",
      "The model door takes plain paths only, without encoded characters.",
    );
  }
  if (path === "" || path === "/") {
    if (method === "HEAD" || method === "GET") return { kind: "hello" };
    return refuse(405, "invalid_request_error", `The model door has no ${shown(method)} /.`);
  }
  const passed = passing[path];
  if (passed === undefined) {
    return refuse(
      404,
      "not_found_error",
      "From a sandbox only /v1/messages, /v1/messages/count_tokens and /v1/responses of the model's API can be used.",
    );
  }
  if (method !== "POST")
    return refuse(405, "invalid_request_error", `${path} takes POST, not ${shown(method)}.`);
  if (query !== "" && !(query === "?beta=true" && passed.api === "messages")) {
    return refuse(400, "invalid_request_error", "The model door takes no query but beta=true.");
  }
  return { kind: "forward", path: path + query, ...passed };
}

const passing: Readonly<Record<string, { api: ModelApi; metered: boolean } | undefined>> = {
  "/v1/messages": { api: "messages", metered: true },
  "/v1/messages/count_tokens": { api: "messages", metered: false },
  "/v1/responses": { api: "responses", metered: true },
};

function refuse(status: number, type: Refusal["type"], message: string): Route {
  return { kind: "refuse", refused: refusal(status, type, message) };
}

function shown(method: string): string {
  return method.slice(0, 20);
}
