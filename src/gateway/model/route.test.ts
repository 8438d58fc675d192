import { expect, test } from "bun:test";
import { routeOf } from "./route.ts";

test("the requests that an agent needs pass, and are rebuilt", () => {
  expect(routeOf("HEAD", "/")).toEqual({ kind: "hello" });
  expect(routeOf("GET", "")).toEqual({ kind: "hello" });
  expect(routeOf("POST", "/v1/messages?beta=true")).toEqual({
    kind: "forward",
    api: "messages",
    path: "/v1/messages?beta=true",
    metered: true,
  });
  expect(routeOf("POST", "/v1/messages/count_tokens")).toMatchObject({ kind: "forward", metered: false });
  expect(routeOf("POST", "/v1/responses")).toEqual({
    kind: "forward",
    api: "responses",
    path: "/v1/responses",
    metered: true,
  });
});

test.each([
  ["POST", "/v1/files", 404],
  ["GET", "/v1/models", 404],
  ["POST", "/v1/messages/batches", 404],
  ["POST", "/v1/responses/compact", 404],
  ["GET", "/v1/responses/resp_1", 404],
  ["GET", "/v1/responses", 405],
  ["POST", "/v1/responses?beta=true", 400],
  ["POST", "/v1/messages/", 404],
  ["POST", "/V1/messages", 404],
  ["POST", "/v1", 404],
  ["GET", "/v1/messages", 405],
  ["DELETE", "/", 405],
  ["POST", "/v1/%6dessages", 400],
  ["POST", "/v1/messages/..%2ffiles", 400],
  ["POST", "/v1/messages/../files", 400],
  ["POST", "/./v1/messages", 400],
  ["POST", "//v1/messages", 400],
  ["POST", "/v1\\messages", 400],
  ["POST", "/v1/messages;x", 400],
  ["POST", "/v1/messages#x", 400],
  ["POST", "http://elsewhere/v1/messages", 400],
  ["POST", "@elsewhere/v1/messages", 400],
  ["POST", "/v1/messages?beta=true&x=1", 400],
  ["POST", "/v1/messages?beta=true?", 400],
])("%s %s is refused with %i", (method, target, status) => {
  expect(routeOf(method, target)).toMatchObject({ kind: "refuse", refused: { status } });
});
