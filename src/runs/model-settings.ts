import { z } from "zod";
import type { ModelApi, ModelEndpoint } from "../domain/model.ts";
import type { Store } from "../domain/store.ts";

export const modelSources = ["command line", "environment", "ccw.toml", "page", "default"] as const;
type ModelSource = (typeof modelSources)[number];

export interface ModelSettings {
  current(): ModelEndpoint;
  /** For agents that speak this API; undefined where nothing is set up for it. */
  of(api: ModelApi): ModelEndpoint | undefined;
  /** All that are in force. */
  all(): ModelEndpoint[];
  /** Where the current setting comes from: what stands in a file or the environment cannot be changed on the page. */
  source(): ModelSource;
  set(endpoint: ModelEndpoint | "demo"): void;
}

const settingName = "model";

const storedSchema = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("demo") }),
  z.object({
    kind: z.literal("endpoint"),
    baseUrl: z.string(),
    credential: z.object({ header: z.enum(["x-api-key", "authorization"]), value: z.string() }),
  }),
]);

/**
 * Which model is in force: the environment's or ccw.toml's, else what was chosen on the page, else the demo model.
 * `responses`: the endpoint of the Responses API; where none is set the demo model plays for it as long as it plays at all.
 */
export function createModelSettings(
  store: Store,
  configured: { endpoint: ModelEndpoint; source: "environment" | "ccw.toml" } | "demo" | undefined,
  demo: { baseUrl: string; key: string },
  responses?: ModelEndpoint,
): ModelSettings {
  const demoEndpoint: ModelEndpoint = {
    kind: "demo",
    baseUrl: demo.baseUrl,
    credential: { header: "x-api-key", value: demo.key },
  };
  const chosen = () => {
    const text = store.settings.get(settingName);
    return text === undefined ? undefined : storedSchema.parse(JSON.parse(text));
  };
  const current = (): ModelEndpoint => {
    if (configured === "demo") return demoEndpoint;
    if (configured !== undefined) return configured.endpoint;
    const stored = chosen();
    return stored === undefined || stored.kind === "demo" ? demoEndpoint : stored;
  };
  const of = (api: ModelApi): ModelEndpoint | undefined => {
    if (api === "messages" || configured === "demo") return current();
    return responses ?? (current().kind === "demo" ? demoEndpoint : undefined);
  };
  return {
    current,
    of,
    all: () => [of("messages"), of("responses")].filter((endpoint) => endpoint !== undefined),
    source() {
      if (configured === "demo") return "command line";
      return configured?.source ?? (chosen() === undefined ? "default" : "page");
    },
    set(endpoint) {
      store.settings.set(settingName, JSON.stringify(endpoint === "demo" ? { kind: "demo" } : endpoint));
    },
  };
}
