/** One file of the built web interface, as the build has compressed it. */
export interface Asset {
  type: string;
  /** Without quotation marks. */
  etag: string;
  bodies: { identity: Uint8Array } & Partial<Record<Coding, Uint8Array>>;
}

/** The built web interface, by URL path. */
export type Assets = ReadonlyMap<string, Asset>;

const codings = ["br", "gzip"] as const;
type Coding = (typeof codings)[number];

/** Answers with the smallest of what the client takes, or with 304 where it has that already. */
export function assetResponse(
  { type, etag, bodies }: Asset,
  asked: { acceptEncoding: string | undefined; ifNoneMatch: string | undefined },
): Response {
  const coding = codingFor(asked.acceptEncoding ?? "", (each) => bodies[each] !== undefined);
  const body = bodies[coding] ?? bodies.identity;
  // RFC 9110, 8.8.3.3: what is encoded in another way is another representation, with a tag of its own.
  const tag = coding === "identity" ? `"${etag}"` : `"${etag}-${coding}"`;
  const headers = {
    // Looked after each time: another version may be served now, and whoever was signed out sees nothing more of it.
    "cache-control": "no-cache",
    etag: tag,
    vary: "Accept-Encoding",
  };
  if (isAmong(tag, asked.ifNoneMatch)) return new Response(null, { status: 304, headers });
  return new Response(Uint8Array.from(body), {
    headers: {
      ...headers,
      "content-type": type,
      ...(coding !== "identity" && { "content-encoding": coding }),
    },
  });
}

/** RFC 9110, 12.5.3. Of what weighs the same, the one that is smaller; what is not named is not wanted, but for identity. */
function codingFor(accepted: string, has: (coding: Coding) => boolean): Coding | "identity" {
  const weights = new Map(
    accepted.split(",").map((part) => {
      const [name = "", ...parameters] = part.toLowerCase().split(";");
      const weight = parameters.map((each) => /^\s*q\s*=\s*([01](?:\.\d{0,3})?)\s*$/.exec(each)?.[1]);
      return [name.trim(), Number(weight.find((each) => each !== undefined) ?? 1)];
    }),
  );
  const weightOf = (coding: string) => weights.get(coding) ?? weights.get("*") ?? 0;
  const least = weights.get("identity") ?? 0;
  const [best] = codings
    .filter((coding) => has(coding) && weightOf(coding) > 0 && weightOf(coding) >= least)
    .sort((one, other) => weightOf(other) - weightOf(one));
  return best ?? "identity";
}

/** RFC 9110, 13.1.2: compared weakly, since a proxy on the way may have marked it so. */
function isAmong(tag: string, ifNoneMatch: string | undefined): boolean {
  const known = (ifNoneMatch ?? "").split(",").map((each) => each.trim().replace(/^W\//, ""));
  return known.includes(tag) || known.includes("*");
}
