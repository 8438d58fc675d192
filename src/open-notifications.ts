import type { Config } from "./config.ts";
import { CcwError } from "./domain/errors.ts";
import type { Send } from "./domain/notification.ts";
import type { JudgeChannel } from "./domain/notification-channel.ts";
import { createUpstreamHttp } from "./forge/upstream-http.ts";
import { createReach, upstreamProxyOf, vetAddresses } from "./network.ts";
import { createSend } from "./notify/send.ts";

const withinMs = 15_000;
const connectMs = 10_000;

/** The ways out of notifications: through the operator's proxy and authorities, to addresses that the operator allows. */
export function openNotifications(options: {
  config: Pick<Config, "egress" | "notifications">;
  /** PEM of every authority that a receiver's certificate may be signed by. */
  authorities: readonly string[];
  ownPort(): number;
  now(): number;
}): { send: Send; judge: JudgeChannel; close(): void } {
  const { config, authorities, ownPort, now } = options;
  const { allowedRanges, mail } = config.notifications;
  const proxy = upstreamProxyOf(config.egress.upstreamProxy);
  const http = createUpstreamHttp({ proxy, authorities, connectMs, idleMs: withinMs });
  const reach = createReach({
    whyNot: vetAddresses({ allowedRanges, ownPort, now }),
    proxyResolves: proxy?.resolves === true,
    forbidden: (host, why) =>
      new CcwError(
        "forbidden",
        `The appliance sends no notifications to ${host}: ${why}.`,
        "If it is meant, the operator lists its address in ccw.toml: `allowed_ranges` under [notifications].",
      ),
  });
  const send = createSend({
    now,
    mail: mail && { ...mail, authorities },
    async postOut({ url, headers, body }, signal) {
      const bytes = Buffer.from(body);
      const {
        status,
        headers: answer,
        discard,
      } = await within(signal, async (each) =>
        http.send({
          url,
          address: await reach(url),
          method: "POST",
          headers: { ...headers, "content-length": String(bytes.length), "user-agent": "ccw-server" },
          body: (async function* () {
            yield bytes;
          })(),
          signal: each,
        }),
      );
      discard();
      return { status, retryAfter: answer["retry-after"] };
    },
  });
  const judge: JudgeChannel = async (settings) => {
    if (settings.kind === "email") return;
    try {
      await reach(new URL(settings.url));
    } catch (thrown) {
      // A name that nobody knows now may be known when something is sent.
      if (!(thrown instanceof CcwError && thrown.code === "unavailable")) throw thrown;
    }
  };
  return { send, judge, close: () => http.close() };
}

async function within<Result>(
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const late = AbortSignal.timeout(withinMs);
  try {
    return await work(AbortSignal.any([signal, late]));
  } catch (cause) {
    if (!late.aborted || signal.aborted) throw cause;
    throw new CcwError("unavailable", `There was no answer within ${withinMs / 1000} s.`, "", { cause });
  }
}
