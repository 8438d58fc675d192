import { type AcpProgram, acpPlaceholder } from "../../domain/acp-program.ts";
import { CcwError } from "../../domain/errors.ts";
import type { ModelAccess } from "./agent.ts";

/** The agent's own variables, with the way to the model filled in; the model's name is known at its start. */
export function acpVariables({ variables }: AcpProgram, { url, token }: ModelAccess): Record<string, string> {
  const values: Record<string, string> = { model_url: url, model_token: token };
  return Object.fromEntries(
    Object.entries(variables).map(([name, value]) => [name, filledIn(value, values)]),
  );
}

export const namesModel = ({ variables }: AcpProgram): boolean =>
  Object.values(variables).some((value) => value.includes("{model}"));

/** As model endpoints name their models; nothing that would end a string of JSON, which a value may be. */
const modelName = /^[A-Za-z0-9][A-Za-z0-9._:/@[\]+-]{0,199}$/;

/** Throws `invalid` for a model's name that is none. A variable that is empty without one is left out. */
export function acpEnvironment(
  program: AcpProgram,
  { env, model }: { env: Record<string, string>; model: string },
): Record<string, string> {
  if (!namesModel(program)) return env;
  if (model !== "" && !modelName.test(model)) {
    throw new CcwError(
      "invalid",
      `${JSON.stringify(model.slice(0, 100))} cannot be the name of a model for ${program.title}.`,
      "It goes into the agent's variables: letters, digits and . _ : / @ [ ] + - are taken.",
    );
  }
  const own = Object.keys(program.variables);
  return Object.fromEntries(
    Object.entries(env).flatMap(([name, value]) => {
      if (!own.includes(name) || !value.includes("{model}")) return [[name, value]];
      const filled = filledIn(value, { model });
      return filled === "" ? [] : [[name, filled]];
    }),
  );
}

const filledIn = (value: string, values: Record<string, string>) =>
  value.replace(acpPlaceholder, (whole, name: string) =>
    Object.hasOwn(values, name) ? (values[name] ?? "") : whole,
  );
