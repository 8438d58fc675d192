import { expect, test } from "bun:test";
import type { ModelEndpoint } from "../../domain/model.ts";
import { presentedTokens, requestHeaders, responseHeaders } from "./headers.ts";

const endpoint: ModelEndpoint = {
  kind: "endpoint",
  baseUrl: "https://model.example",
  credential: { header: "authorization", value: "Bearer real" },
};

test("a length that stands beside chunks is not passed on", () => {
  const given = { "content-length": "5", "transfer-encoding": "chunked" };
  expect(requestHeaders(given, endpoint)).toEqual({
    authorization: "Bearer real",
    "accept-encoding": "identity",
  });
  expect(responseHeaders(given, (text) => text)).toEqual({});
});

test("a credential of the sandbox's own never goes beside the real one", () => {
  const headers = requestHeaders({ "x-api-key": "scoped", authorization: "Bearer scoped" }, endpoint);
  expect(headers["x-api-key"]).toBeUndefined();
  expect(headers["authorization"]).toBe("Bearer real");
});

test("an overlong value and a lookalike name do not pass", () => {
  const given = {
    "anthropic-beta": "x".repeat(5000),
    "x-stainless-a_b": "1",
    "x-stainless-os": "Linux",
    accept: "a",
  };
  const names = Object.keys(requestHeaders(given, endpoint)).sort();
  expect(names).toEqual(["accept", "accept-encoding", "authorization", "content-length", "x-stainless-os"]);
});

test("the endpoint's limits and retry hints pass; its cookies and internals do not", () => {
  const given = {
    "anthropic-ratelimit-unified-status": "rejected",
    "retry-after": "7",
    "set-cookie": ["a=b"],
    server: "x",
    "alt-svc": "h3",
  };
  expect(responseHeaders(given, (text) => text)).toEqual({
    "anthropic-ratelimit-unified-status": "rejected",
    "retry-after": "7",
  });
});

test("every credential that is presented counts, in whatever form", () => {
  expect(presentedTokens({})).toEqual([]);
  expect(presentedTokens({ "x-api-key": "a", authorization: "bearer b" })).toEqual(["a", "b"]);
  expect(presentedTokens({ authorization: "Basic eA==" })).toEqual([""]);
});
