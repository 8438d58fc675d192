import type { DenyCode } from "./egress.ts";
import type { EgressSource } from "./egress-policy.ts";

/**
 * The policy in cases that a reviewer can read: under this policy, this request ends so. Each is decided twice, as a
 * connection and as a request over it: `pass`, `inspect` and `raw` are how a connection goes, a code is why the
 * connection or, where it is read, the request is refused.
 */
export interface PolicyCase {
  policy: Partial<EgressSource>;
  cases: readonly (readonly [
    request: string,
    verdict: "pass" | "inspect" | "raw" | DenyCode,
    headers?: Readonly<Record<string, string>>,
  ])[];
}

const token = { authorization: "Bearer attacker" };
const gitFetch = { "content-type": "application/x-git-upload-pack-request" };

export const policyCases: Readonly<Record<string, PolicyCase>> = {
  "None: nothing, whatever else is said": {
    policy: {
      access: "none",
      allow: ["*", "example.com", "192.0.2.1"],
      grants: [{ host: "example.com", port: 443, scope: "task" }],
    },
    cases: [
      ["GET https://example.com/", "no-egress"],
      ["GET https://github.com/", "no-egress"],
      ["GET https://192.0.2.1/", "no-egress"],
    ],
  },
  "Limited: the default list and what the environment adds": {
    policy: { access: "limited", allow: ["*.internal.example", "db.example port=5432 raw"] },
    cases: [
      ["GET https://nodejs.org/dist/", "pass"],
      ["GET http://archive.ubuntu.com/ubuntu/", "pass"],
      ["GET https://github.com/", "inspect"],
      ["GET https://a.internal.example/", "pass"],
      ["GET https://a.b.internal.example/", "pass"],
      ["GET https://db.example:5432/", "raw"],
      ["GET https://db.example/", "port-not-allowed"],
      ["GET https://internal.example/", "host-not-allowed"],
      ["GET https://evilinternal.example/", "host-not-allowed"],
      ["GET https://evilgithub.com/", "host-not-allowed"],
      ["GET https://github.com.evil.example/", "host-not-allowed"],
      ["GET https://GITHUB.com./", "inspect"],
      ["GET https://github.com:22/", "port-not-allowed"],
      ["GET https://192.0.2.1/", "host-not-allowed"],
      ["GET https://[2001:db8::1]/", "host-not-allowed"],
      ["GET https://2130706433/", "host-not-allowed"],
    ],
  },
  "Limited with a group off: its hosts are gone, those of others stay": {
    policy: { access: "limited", groupsOff: ["Version Control"], allow: ["gist.github.com"] },
    cases: [
      ["GET https://github.com/", "host-not-allowed"],
      ["GET https://pypi.org/simple/", "inspect"],
      // A mark of the default list holds though the group is off.
      ["GET https://gist.github.com/", "inspect"],
      ["POST https://gist.github.com/", "read-only"],
    ],
  },
  "Custom: what is listed and nothing else": {
    policy: { access: "custom", allow: ["example.com port=443", "192.0.2.1", "2001:db8::1 port=8443"] },
    cases: [
      ["POST https://example.com/", "pass"],
      ["GET http://example.com/", "port-not-allowed"],
      ["GET https://www.example.com/", "host-not-allowed"],
      ["GET https://nodejs.org/", "host-not-allowed"],
      ["GET https://192.0.2.1/", "pass"],
      ["GET https://192.0.2.2/", "host-not-allowed"],
      ["GET https://[2001:db8::1]:8443/", "pass"],
      ["GET https://[2001:db8::1]/", "port-not-allowed"],
    ],
  },
  "Custom with nothing listed: nothing": {
    policy: { access: "custom" },
    cases: [["GET https://nodejs.org/", "host-not-allowed"]],
  },
  "Custom with *: every name, no address": {
    policy: { access: "custom", allow: ["*"] },
    cases: [
      ["POST https://example.com/", "pass"],
      ["GET https://example.com:8443/", "port-not-allowed"],
      ["GET https://192.0.2.1/", "host-not-allowed"],
      ["GET https://github.com/", "inspect"],
      ["POST https://api.github.com/gists", "read-only"],
    ],
  },
  "Full: every name on the web's ports, other ports by rule, no address": {
    policy: { access: "full", allow: ["git.example port=22 raw", "upload.example inspect"] },
    cases: [
      ["POST https://example.com/", "pass"],
      ["POST http://example.com/", "pass"],
      ["GET https://example.com:22/", "port-not-allowed"],
      ["GET https://git.example:22/", "raw"],
      ["GET https://git.example/", "pass"],
      ["GET https://169.254.169.254/", "host-not-allowed"],
      ["GET https://github.com/", "inspect"],
      ["POST https://github.com/", "read-only"],
      ["POST https://x.ingest.sentry.io/api/1/envelope/", "read-only"],
      ["POST https://upload.example/", "read-only"],
    ],
  },
  "Deny wins over the list, rules, grants and Full": {
    policy: {
      access: "full",
      allow: ["example.com", "192.0.2.1"],
      deny: ["*.example.com", "github.com", "*.zip", "192.0.2.1"],
      grants: [{ host: "github.com", port: 443, scope: "task" }],
    },
    cases: [
      ["GET https://a.example.com/", "host-denied"],
      ["GET https://example.com/", "pass"],
      ["GET https://github.com/", "host-denied"],
      ["GET https://www.github.com/", "inspect"],
      ["GET https://archive.zip/", "host-denied"],
      ["GET https://192.0.2.1/", "host-denied"],
    ],
  },
  "Deny *: nothing, addresses neither": {
    policy: { access: "full", allow: ["192.0.2.1"], deny: ["*"] },
    cases: [
      ["GET https://example.com/", "host-denied"],
      ["GET https://192.0.2.1/", "host-denied"],
    ],
  },
  "Grants: that host and port": {
    policy: {
      access: "limited",
      grants: [
        { host: "example.com", port: 443, scope: "task" },
        { host: "192.0.2.1", port: 8080, scope: "once" },
        { host: "paste.example.ubuntu.com", port: 443, scope: "task" },
      ],
    },
    cases: [
      ["POST https://example.com/", "pass"],
      ["GET http://example.com/", "port-not-allowed"],
      ["GET https://192.0.2.1:8080/", "pass"],
      // A grant reaches a marked host, and does not open it for writing.
      ["POST https://paste.example.ubuntu.com/", "read-only"],
    ],
  },
  "Where anybody can publish only reading passes": {
    policy: { access: "limited" },
    cases: [
      ["GET https://github.com/a/b", "inspect"],
      ["HEAD https://github.com/a/b", "inspect"],
      ["OPTIONS https://api.github.com/", "inspect"],
      ["POST https://api.github.com/gists", "read-only"],
      ["PUT https://storage.googleapis.com/bucket/x", "read-only"],
      ["DELETE https://registry.npmjs.org/x", "read-only"],
      ["get https://github.com/", "method-not-supported"],
      ["PROPFIND https://github.com/", "read-only"],
      ["TRACE https://github.com/", "method-not-supported"],
      ["CONNECT https://github.com/", "method-not-supported"],
      ["GET https://github.com/", "read-only", { "content-length": "5" }],
      ["GET https://github.com/", "inspect", { "content-length": "0" }],
      ["GET https://github.com/", "read-only", { "transfer-encoding": "chunked" }],
      ["GET https://github.com/", "read-only", { upgrade: "websocket" }],
      ["GET https://github.com/", "inspect", { upgrade: "h2c" }],
      ["GET https://api.github.com/gists", "read-only", { "x-http-method-override": "POST" }],
      ["GET https://github.com/?a=1&%5fmethod=put", "read-only"],
    ],
  },
  "The same over http as over https": {
    policy: { access: "limited" },
    cases: [
      ["POST http://api.github.com/gists", "read-only"],
      ["GET http://github.com/", "foreign-credential", token],
      ["GET http://evil.example/", "host-not-allowed"],
      ["TRACE http://nodejs.org/", "method-not-supported"],
    ],
  },
  "A git fetch is reading, a push is not": {
    policy: { access: "limited" },
    cases: [
      ["GET https://github.com/a/b.git/info/refs?service=git-upload-pack", "inspect"],
      ["POST https://github.com/a/b.git/git-upload-pack", "inspect", gitFetch],
      ["POST https://dev.azure.com/o/my%20project/_git/r/git-upload-pack", "inspect", gitFetch],
      ["POST https://github.com/a/b.git/git-upload-pack", "read-only"],
      ["POST https://github.com/a/b.git/git-upload-pack", "read-only", { "content-type": "text/plain" }],
      ["POST https://github.com/a/b.git/git-upload-pack", "read-only", { ...gitFetch, upgrade: "websocket" }],
      ["POST https://github.com/a/b.git/git-upload-pack?x", "read-only", gitFetch],
      ["POST https://github.com/gists%23/git-upload-pack", "read-only", gitFetch],
      ["POST https://github.com/a/../git-upload-pack", "read-only", gitFetch],
      ["POST https://github.com/a/git-upload-pack/..", "read-only", gitFetch],
      ["PUT https://github.com/a/b.git/git-upload-pack", "read-only", gitFetch],
      [
        "POST https://github.com/a/b.git/git-upload-pack",
        "read-only",
        { ...gitFetch, "x-http-method-override": "PUT" },
      ],
      ["GET https://github.com/a/b.git/info/refs?service=git-receive-pack", "read-only"],
      ["POST https://github.com/a/b.git/git-receive-pack", "read-only", gitFetch],
    ],
  },
  "Inspected hosts take no credential out of the sandbox": {
    policy: { access: "limited" },
    cases: [
      ["GET https://api.github.com/user", "foreign-credential", token],
      ["GET https://api.anthropic.com/v1/files", "foreign-credential", { "x-api-key": "k" }],
      ["GET https://gitlab.com/api/v4/user", "foreign-credential", { "private-token": "k" }],
      ["GET https://api.github.com/", "foreign-credential", { "x-master-key": "k" }],
      ["GET https://api.github.com/", "foreign-credential", { "x-credential": "k" }],
      ["GET https://api.github.com/", "foreign-credential", { authentication: "k" }],
      ["GET https://api.github.com/", "inspect", { "x-idempotency-key": "k", "sec-websocket-key": "k" }],
      ["GET https://api.github.com/", "inspect", { "x-monkey": "k" }],
      ["GET https://gitlab.com/api/v4/user", "foreign-credential", { "job-token": "k" }],
      ["GET https://gitlab.com/api/v4/user", "foreign-credential", { "x-auth-token": "k" }],
      ["GET https://storage.googleapis.com/b/o", "foreign-credential", { "x-goog-api-key": "k" }],
      ["GET https://storage.googleapis.com/b/o", "foreign-credential", { "x-amz-security-token": "k" }],
      ["GET https://github.com/", "foreign-credential", { cookie: "__cf_bm=1; user_session=abc" }],
      ["GET https://conda.anaconda.org/x", "inspect", { cookie: "__cf_bm=1; _cfuvid=2" }],
      ["GET https://gitlab.com/api/v4/user?private_token=k", "foreign-credential"],
      ["GET https://gitlab.com/api/v4/user?x=1;access%5Ftoken=k", "foreign-credential"],
      ["GET https://api.github.com/user?API_KEY=k", "foreign-credential"],
      ["GET https://maps.googleapis.com/?key=AIzaSyAttacker", "foreign-credential"],
      ["GET https://maps.googleapis.com/?key=colour", "inspect"],
      // A signed link reads what its maker shared.
      ["GET https://objects.githubusercontent.com/x?X-Amz-Credential=a&X-Amz-Signature=b", "inspect"],
      // A host that is not inspected gets what it is sent.
      ["GET https://nodejs.org/", "pass", token],
      ["GET https://github.com/", "inspect", { "proxy-authorization": "Basic x" }],
    ],
  },
  "Registries of containers hand a pull token to anybody": {
    policy: { access: "limited", allow: ["ghcr.io write"] },
    cases: [
      ["GET https://registry-1.docker.io/v2/library/debian/manifests/12", "inspect", token],
      ["HEAD https://eu.gcr.io/v2/a/b/blobs/x", "inspect", token],
      [
        "GET https://registry-1.docker.io/v2/",
        "foreign-credential",
        { authorization: "Basic YXR0YWNrZXI6cHc=" },
      ],
      ["GET https://auth.docker.io/token?service=registry.docker.io", "inspect"],
      ["GET https://auth.docker.io/token", "foreign-credential", { authorization: "Basic eDp5" }],
      ["POST https://ghcr.io/v2/a/b/blobs/uploads/", "foreign-credential", token],
    ],
  },
  "write opens the methods of a marked host, and keeps foreign credentials out": {
    policy: { access: "limited", allow: ["api.github.com write", "*.example.com inspect write"] },
    cases: [
      ["POST https://api.github.com/gists", "inspect"],
      ["POST https://api.github.com/gists", "foreign-credential", token],
      ["POST https://github.com/x", "read-only"],
      // Of a host that is not marked in the default list, write is trust.
      ["POST https://a.example.com/", "inspect", token],
    ],
  },
  "A host that gets a credential is inspected on every port, and only read from without the word": {
    policy: {
      access: "custom",
      allow: [
        "api.example port=80,443,8443",
        "pinned.example no-inspect",
        "db.example port=5432 raw",
        "*.w.example write",
        "other.example",
      ],
      credentialHosts: ["api", "pinned", "db", "a.w", "off"].map((name) => ({
        kind: "name",
        text: `${name}.example`,
      })),
    },
    cases: [
      ["GET https://api.example/", "inspect"],
      ["GET https://api.example:8443/", "inspect"],
      ["GET http://api.example/", "inspect"],
      ["POST https://api.example:8443/", "read-only"],
      ["GET https://api.example/", "foreign-credential", token],
      ["GET https://pinned.example/", "inspect"],
      ["POST https://a.w.example/", "inspect"],
      ["POST https://b.w.example/", "pass"],
      ["GET https://db.example:5432/", "raw"],
      ["POST https://other.example/", "pass"],
      ["GET https://off.example/", "host-not-allowed"],
    ],
  },
  "no-inspect exempts a marked host, raw lets any protocol through": {
    policy: { access: "limited", allow: ["api.github.com no-inspect", "github.com port=22 raw"] },
    cases: [
      ["POST https://api.github.com/gists", "pass", token],
      ["POST http://api.github.com/gists", "pass", token],
      ["GET https://github.com:22/", "raw"],
      ["GET https://github.com/", "inspect"],
    ],
  },
  "methods= and path= have to be read; then only reading passes but for methods that are named": {
    policy: {
      access: "custom",
      allow: ["a.example path=/api", "b.example methods=GET,POST", "c.example path=/up methods=POST write"],
    },
    cases: [
      ["GET https://a.example/api", "inspect"],
      ["GET https://a.example/api?x=/../y", "inspect"],
      ["GET https://a.example/api/x", "inspect"],
      ["GET https://a.example/apix", "path-not-allowed"],
      ["GET https://a.example/", "path-not-allowed"],
      ["GET https://a.example//api", "path-not-allowed"],
      ["GET https://a.example/API", "path-not-allowed"],
      ["GET https://a.example/api/../x", "path-not-allowed"],
      ["GET https://a.example/api/%2e%2e/x", "path-not-allowed"],
      ["GET https://a.example/api/..%2fx", "path-not-allowed"],
      ["GET https://a.example/api/%252e%252e%252fx", "path-not-allowed"],
      ["GET https://a.example/api/%2525252e%2525252e/x", "path-not-allowed"],
      ["GET https://a.example/api/..;x/y", "path-not-allowed"],
      ["GET https://a.example/api/\\..\\x", "path-not-allowed"],
      ["GET https://a.example/api%2fx", "path-not-allowed"],
      ["GET https://a.example/api%00/x", "path-not-allowed"],
      ["GET https://a.example/api/%c0%ae%c0%ae/x", "path-not-allowed"],
      ["GET https://a.example/%61pi/x", "inspect"],
      ["GET https://a.example/api/@scope%2fname", "inspect"],
      ["GET https://a.example/api/100%25/%c3%a9", "inspect"],
      ["POST https://a.example/api", "read-only"],
      ["POST https://b.example/", "inspect"],
      ["PUT https://b.example/", "method-not-allowed"],
      ["HEAD https://b.example/", "method-not-allowed"],
      ["POST https://b.example/", "method-not-allowed", { "x-http-method-override": "DELETE" }],
      ["POST https://b.example/", "foreign-credential", token],
      ["POST https://c.example/up/x", "inspect", token],
      ["POST https://c.example/x", "path-not-allowed"],
      ["GET https://c.example/up", "method-not-allowed"],
    ],
  },
  "methods= narrows: it opens no host where anybody can publish": {
    policy: { access: "custom", allow: ["* methods=GET,POST"] },
    cases: [
      ["POST https://a.example/", "inspect"],
      ["PUT https://a.example/", "method-not-allowed"],
      ["GET https://github.com/", "inspect"],
      ["POST https://api.github.com/gists", "read-only"],
      ["POST https://api.github.com/gists", "read-only", token],
    ],
  },
  "Among the rules that match, any that permits, permits": {
    policy: {
      access: "custom",
      allow: [
        "a.example path=/x",
        "a.example path=/y methods=POST",
        "b.example path=/x",
        "b.example",
        "*.c.example methods=GET",
        "w.c.example port=443 write",
      ],
    },
    cases: [
      ["GET https://a.example/x", "inspect"],
      ["POST https://a.example/y", "inspect"],
      ["POST https://a.example/x", "read-only"],
      ["GET https://a.example/y", "method-not-allowed"],
      ["POST https://b.example/z", "pass"],
      ["DELETE https://w.c.example/", "pass"],
      ["DELETE http://w.c.example/", "method-not-allowed"],
    ],
  },
  "A wildcard across names of strangers is looked into; one such name alone is not": {
    policy: { access: "custom", allow: ["*.github.io", "*.amazonaws.com", "ours.s3.amazonaws.com"] },
    cases: [
      ["GET https://anybody.github.io/", "inspect"],
      ["POST https://anybody.github.io/", "read-only"],
      ["PUT https://bucket.s3.amazonaws.com/x", "read-only"],
      ["POST https://sts.amazonaws.com/", "pass"],
      ["PUT https://ours.s3.amazonaws.com/x", "pass"],
    ],
  },
  "Across names of strangers, writing takes the word, and foreign credentials stay out": {
    policy: { access: "custom", allow: ["*.github.io write", "*.vercel.app methods=GET,POST"] },
    cases: [
      ["POST https://anybody.vercel.app/", "read-only"],
      ["POST https://anybody.github.io/", "inspect"],
      ["POST https://anybody.github.io/", "foreign-credential", token],
    ],
  },
  "The most specific entry of the default list says whether a host is marked": {
    policy: { access: "full" },
    cases: [
      ["POST http://archive.ubuntu.com/", "pass"],
      ["POST https://paste.ubuntu.com/", "read-only"],
      ["POST https://ubuntu.com/", "pass"],
    ],
  },
};
