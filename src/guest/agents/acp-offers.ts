import { z } from "zod";
import type { AgentMode } from "../../domain/task.ts";
import type { AcpConfigOption, AcpOffers } from "./acp-messages.ts";
import { type AcpWire, methods } from "./acp-wire.ts";

/** What a session lets be chosen: modes and models, each where the agent offers it. */
export interface AcpSettings {
  /** Resolves with what happened in words where it is not what was wanted. */
  setMode(mode: AgentMode): Promise<string | undefined>;
  /** Empty for what it was at first. */
  setModel(model: string): Promise<string | undefined>;
  /** The agent has changed its mode by itself: whether it plans now; undefined where that says nothing new. */
  modeIs(modeId: string): AgentMode | undefined;
  optionsAre(options: readonly AcpConfigOption[]): AgentMode | undefined;
}

interface Choice {
  current: string;
  options: readonly { id: string; name: string }[];
  choose(id: string): Promise<unknown>;
}

export function createAcpSettings(
  wire: Pick<AcpWire, "request">,
  { title, sessionId, offers }: { title: string; sessionId: string; offers: AcpOffers },
): AcpSettings {
  let options = offers.configOptions;
  let modeId = offers.modes?.currentModeId;

  const ofCategory = (category: string): Choice | undefined => {
    const found = options.find((each) => each.category === category);
    if (found === undefined) return undefined;
    return {
      current: found.currentValue,
      options: found.options.map(({ value, name }) => ({ id: value, name })),
      choose: (value) =>
        wire.request(
          methods.agent.session.setConfigOption,
          { sessionId, configId: found.id, value },
          z.unknown(),
        ),
    };
  };
  const modes = (): Choice | undefined => {
    const { modes: offered } = offers;
    if (offered == null) return ofCategory("mode");
    return {
      current: modeId ?? offered.currentModeId,
      options: offered.availableModes,
      choose: (id) => wire.request(methods.agent.session.setMode, { sessionId, modeId: id }, z.unknown()),
    };
  };
  const planIn = (choice: Choice | undefined) =>
    choice?.options.find(({ id, name }) => isPlan(id) || isPlan(name))?.id;
  const meant = (id: string, choice: Choice | undefined): AgentMode =>
    id === planIn(choice) ? "plan" : "act";

  const first = { mode: modes()?.current, model: ofCategory("model")?.current };
  let told: AgentMode | undefined;
  const heard = (mode: AgentMode): AgentMode | undefined => {
    if (mode === told) return undefined;
    told = mode;
    return mode;
  };

  return {
    async setMode(mode) {
      const choice = modes();
      const plan = planIn(choice);
      told = mode;
      if (choice === undefined || plan === undefined)
        return mode === "plan"
          ? `${title} has no plan mode of its own: it is told to change nothing, what it asks leave for is refused or put before a person, and where it changes files without asking it is stopped.`
          : undefined;
      const usual = first.mode === plan ? choice.options.find(({ id }) => id !== plan)?.id : first.mode;
      const wanted = mode === "plan" ? plan : usual;
      if (wanted === undefined || choice.current === wanted) return undefined;
      // An agent may say so itself, or say nothing.
      if (mode === "plan" || choice.current === plan) {
        await choice.choose(wanted);
        modeId = wanted;
      }
      return undefined;
    },
    async setModel(model) {
      const choice = ofCategory("model");
      const wanted =
        model === ""
          ? first.model
          : choice?.options.find(({ id, name }) => id === model || name.toLowerCase() === model.toLowerCase())
              ?.id;
      if (choice === undefined)
        return model === "" ? undefined : `${title} does not let its model be chosen.`;
      if (wanted === undefined) {
        const known = choice.options.slice(0, 12).map(({ id }) => id.slice(0, 60));
        return `${title} has no model ${JSON.stringify(model)}; it goes on with ${choice.current}. It has: ${known.join(", ")}.`;
      }
      if (wanted === choice.current) return undefined;
      await choice.choose(wanted);
      options = options.map((each) => (each.category === "model" ? { ...each, currentValue: wanted } : each));
      return undefined;
    },
    modeIs(id) {
      modeId = id;
      return heard(meant(id, modes()));
    },
    optionsAre(given) {
      options = [...given];
      const choice = offers.modes == null ? ofCategory("mode") : undefined;
      return choice === undefined ? undefined : heard(meant(choice.current, choice));
    },
  };
}

const isPlan = (text: string) => /^plan( mode)?$/i.test(text);
