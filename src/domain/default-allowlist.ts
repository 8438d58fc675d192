import list from "./default-allowlist.json";
import { type HostPattern, parseHostPattern } from "./host-pattern.ts";

export interface DefaultHost {
  /** A host pattern: a name or `*.name`. */
  host: string;
  pattern: HostPattern;
  inspect: boolean;
  /** Pulling from it anonymously takes a bearer token that it hands to anybody (OCI distribution, token authentication). */
  pullTokens: boolean;
}

export interface DefaultGroup {
  name: string;
  hosts: readonly DefaultHost[];
}

/**
 * What Limited access reaches, in groups that an environment may switch off: the 171 hosts that cloud agents commonly
 * reach by default, and in a last group what package managers ask by default beside them, apt in the built-in images
 * first of all.
 *
 * `inspect` marks the hosts that could carry data to a stranger, each for one of these reasons:
 * - code hosts, and what serves their files: anybody has an account, pushes, opens an issue or a gist
 *   (`camo.githubusercontent.com` fetches addresses that others choose);
 * - object stores and API platforms: anybody rents a bucket or a project (`*.googleapis.com`, `dev.azure.com`);
 * - sign-in endpoints, where a stranger's account turns into a token (`accounts.google.com`, `*.microsoftonline.com`,
 *   `auth.docker.io`), and the model vendor's API, which stores files;
 * - registries that publish and serve at the same host (npm, PyPI, crates.io, RubyGems, NuGet, pub, hex, Hackage,
 *   container registries, PPAs, packagecloud, conda channels, SourceForge);
 * - proxies that fetch a name which the asker chooses (`proxy.golang.org`, `sum.golang.org`, `goproxy.io`);
 * - telemetry: what is sent is shown to whoever owns the key (`*.sentry.io`, Statsig);
 * - wildcards with such a host among many (`*.ubuntu.com` holds a pastebin and a key server).
 *
 * Not marked: hosts where one publisher alone writes (distributions, vendors' downloads), and file hosts of registries
 * that take uploads elsewhere (`files.pythonhosted.org`, `static.crates.io`, `repo.packagist.org`, `api.nuget.org`,
 * Maven Central): nothing that is sent there reaches anybody but their operator. An exact entry counts before a
 * wildcard: `archive.ubuntu.com` is not marked.
 */
export const defaultGroups: readonly DefaultGroup[] = list.map(({ name, hosts }) => ({
  name,
  hosts: hosts.map((entry) => ({
    host: entry.host,
    pattern: patternOf(entry.host),
    inspect: "inspect" in entry && entry.inspect === true,
    pullTokens: "pullTokens" in entry && entry.pullTokens === true,
  })),
}));

/** As loose as what is denied: the list's wildcards are meant, `*.googleapis.com` too. */
function patternOf(text: string): HostPattern {
  const parsed = parseHostPattern(text, "deny");
  if (!parsed.ok) throw new Error(`The default list holds ${text}: ${parsed.why}`);
  return parsed.value;
}
