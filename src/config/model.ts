import { CcwError } from "../domain/errors.ts";
import type { ModelEndpoint } from "../domain/model.ts";
import type { ConfigFile } from "./file.ts";
import { check, httpUrl, type Variables } from "./settings.ts";

export interface ConfiguredModel {
  endpoint: ModelEndpoint;
  source: "environment" | "ccw.toml";
}

/** The Messages API's public address, for a key without an endpoint. */
const anthropicUrl = "https://api.anthropic.com";
/** The Responses API's. */
const openaiUrl = "https://api.openai.com";

/** From the environment, else from ccw.toml; undefined where neither names one. */
export function modelFrom(file: ConfigFile, variables: Variables): ConfiguredModel | undefined {
  const fromVariables = endpointFrom({
    base_url: check("CCW_MODEL_BASE_URL", httpUrl, variables["CCW_MODEL_BASE_URL"]),
    api_key: variables["CCW_MODEL_API_KEY"],
    auth_token: variables["CCW_MODEL_AUTH_TOKEN"],
  });
  if (fromVariables !== undefined) return { endpoint: fromVariables, source: "environment" };
  const fromFile = endpointFrom(file.model);
  return fromFile && { endpoint: fromFile, source: "ccw.toml" };
}

export function responsesModelFrom(file: ConfigFile, variables: Variables): ModelEndpoint | undefined {
  const url =
    check("CCW_OPENAI_BASE_URL", httpUrl, variables["CCW_OPENAI_BASE_URL"]) ?? file.model.openai.base_url;
  const key = variables["CCW_OPENAI_API_KEY"] || file.model.openai.api_key;
  if (url === undefined && key === undefined) return undefined;
  return {
    kind: "endpoint",
    // As its users write it the address ends with the API's version.
    baseUrl: (url ?? openaiUrl).replace(/\/v1$/, ""),
    credential: { header: "authorization", value: `Bearer ${key ?? "none"}` },
  };
}

interface ModelFields {
  base_url?: string | undefined;
  api_key?: string | undefined;
  auth_token?: string | undefined;
}

function endpointFrom({ base_url, api_key, auth_token }: ModelFields): ModelEndpoint | undefined {
  const key = api_key || undefined;
  const token = auth_token || undefined;
  if (base_url === undefined && key === undefined && token === undefined) return undefined;
  if (key !== undefined && token !== undefined) {
    throw new CcwError(
      "invalid",
      "Both an API key and an auth token are set for the model.",
      "Keep the one that your endpoint takes.",
    );
  }
  return {
    kind: "endpoint",
    baseUrl: base_url ?? anthropicUrl,
    credential:
      token === undefined
        ? { header: "x-api-key", value: key ?? "none" }
        : { header: "authorization", value: `Bearer ${token}` },
  };
}
