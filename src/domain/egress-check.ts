import {
  decideConnection,
  decideRequest,
  type EgressDecision,
  type EgressPolicy,
  type EgressRefusal,
} from "./egress-policy.ts";
import { CcwError } from "./errors.ts";
import { type Host, hostText, type Parsed, parseAuthority } from "./host.ts";
import { printable } from "./push-policy.ts";

export interface EgressCheck {
  verdict: EgressDecision;
  /** What would happen, in its order, as sentences. */
  steps: string[];
}

/**
 * What would happen to a request for this URL, without sending anything, not even a look-up. A request without body
 * and with no header of note is supposed. Throws CcwError `invalid` for what is no URL: there is nothing to judge then,
 * and "refused" would sound as if a rule could change it.
 */
export function checkEgress(policy: EgressPolicy, url: string, method: string): EgressCheck {
  const read = parseUrl(url);
  if (!read.ok) {
    throw new CcwError(
      "invalid",
      `${JSON.stringify(printable(url).slice(0, 200))} is no URL that could be requested: ${read.why}.`,
      "Write it such as https://registry.npmjs.org/left-pad.",
    );
  }
  const { secure, authority, target } = read.value;
  const { host, port } = authority;
  const steps = [
    `The ${host.kind} is ${hostText(host)}, the port ${port}; the environment's access is ${policy.access}.`,
  ];
  const connection = decideConnection(policy, host, port);
  if (!connection.allowed) return { verdict: connection, steps: [...steps, refusal(connection)] };
  steps.push(`A connection is let through by: ${connection.rule}.`);

  let verdict: EgressDecision = connection;
  if (secure && connection.treatment !== "inspect") {
    steps.push(
      connection.treatment === "raw"
        ? "What goes through is not looked at."
        : "TLS goes through unread, as long as its server name is the host: method and path are not looked at.",
    );
  } else {
    steps.push(
      secure
        ? "The appliance ends TLS with its own certificate authority and reads each request."
        : "The request is in the clear, and is judged like one over TLS.",
    );
    verdict = decideRequest(policy, { host, port, method, target, headers: [] });
    if (!verdict.allowed) return { verdict, steps: [...steps, refusal(verdict)] };
    steps.push(`${method} ${printable(target)} is let through by: ${verdict.rule}.`);
  }
  steps.push(
    "Then the sandbox's limits count, the name is looked up, and addresses that are neither public nor in a range the operator opened are left out.",
  );
  return { verdict, steps };
}

function refusal(verdict: EgressRefusal): string {
  return `It is refused (${verdict.code}): ${verdict.text}.${verdict.grantable ? " A person can grant it." : ""}`;
}

type CheckedUrl = {
  secure: boolean;
  authority: { host: Host; port: number };
  target: string;
};

/** Not the URL parser of the runtime, which mends what the door refuses. */
function parseUrl(url: string): Parsed<CheckedUrl> {
  const parts = /^(https?):\/\/([^/?#]+)([^#]*)(?:#.*)?$/.exec(url);
  if (parts === null) return { ok: false, why: "it has to begin with http:// or https:// and a host" };
  const [, scheme, text = "", rest = ""] = parts;
  const secure = scheme === "https";
  const authority = parseAuthority(text, secure ? 443 : 80);
  if (!authority.ok) return authority;
  const target = rest.startsWith("/") ? rest : `/${rest}`;
  return { ok: true, value: { secure, authority: authority.value, target } };
}
