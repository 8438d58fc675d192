import type { AccessRequestJson, TaskJson } from "../src/client.ts";
import type { AccessDecision } from "../src/domain/access-request.ts";
import { authorityText, scopeInWords } from "../src/domain/access-words.ts";
import { ageText } from "../src/domain/amounts.ts";
import { type Answer, declined } from "../src/domain/question.ts";
import { planOf, questionsOf, toolCall } from "../src/domain/question-text.ts";
import { cut } from "../src/domain/text-line.ts";
import { canCancel, canPutAway } from "./model.ts";
import type { Stage } from "./stage.ts";

interface ActionOptions extends Pick<Stage, "client" | "openTask" | "ask" | "confirm" | "say"> {
  /** Whether the page of this task shows. */
  isOpen(task: TaskJson): boolean;
  /** Leaves the page of a task that is not there any more. */
  back(): void;
}

/** What a person can do with tasks from the terminal view. Failures are the caller's to show. */
export function createActions({ client, openTask, isOpen, ask, confirm, say, back }: ActionOptions) {
  const { api, read } = client;
  /** What was typed and could not be sent, by what it was for: it stands there when that is asked for again. */
  const unsent = new Map<string, string>();

  async function send(of: string, label: string, work: (text: string) => Promise<void>): Promise<boolean> {
    const text = await ask(label, unsent.get(of));
    if (text === undefined || text.trim() === "") return false;
    unsent.set(of, text);
    await work(text);
    unsent.delete(of);
    return true;
  }

  return {
    async submit(): Promise<void> {
      const known = (await read(api.repositories.$get())).map(({ name }) => name);
      const only = known.length === 1 ? known[0] : undefined;
      const repository = await ask("Repository (none: leave empty):", only ?? "");
      if (repository === undefined) return;
      const name = repository.trim();
      const repositories = name === "" ? [] : [{ name }];
      const sent = await send("task", "What is to be done:", async (prompt) => {
        const task = await read(api.tasks.$post({ json: { prompt, repositories } }));
        say(`Submitted as ${task.id}.`);
      });
      if (!sent) say("Nothing was submitted.");
    },

    async cancel(task: TaskJson): Promise<void> {
      if (!canCancel(task)) return say(`The task is ${task.state} already.`);
      if (!(await confirm(`Stop “${task.title.slice(0, 50)}”?`))) return say("Nothing was stopped.");
      await read(api.tasks[":id"].cancel.$post({ param: { id: task.id } }));
      say("The task is being stopped.");
    },

    async interrupt(task: TaskJson): Promise<void> {
      await read(api.tasks[":id"].interrupt.$post({ param: { id: task.id } }));
      say("The agent is being interrupted.");
    },

    /** `now`: it does not wait for the turn that runs. */
    async prompt(task: TaskJson, now = false): Promise<void> {
      await send(task.id, now ? "Prompt, at once:" : "Prompt:", async (text) => {
        await read(api.tasks[":id"].prompts.$post({ param: { id: task.id }, json: { text, now } }));
        say("Sent.");
      });
    },

    async resume(task: TaskJson): Promise<void> {
      await read(api.tasks[":id"].resume.$post({ param: { id: task.id } }));
      say("The task goes on.");
    },

    async answer({ id }: TaskJson): Promise<void> {
      const { task, questions } = await read(api.tasks[":id"].$get({ param: { id } }));
      const question = questions[0];
      if (question === undefined) return say("The task does not wait for an answer.");
      // Nobody approves what he has not before him.
      if (planOf(question.tool, question.input) !== undefined && !isOpen(task)) openTask(task);
      const answer = await choose(question);
      if (answer === undefined) return say("Nothing was answered.");
      await read(
        api.tasks[":id"].answers.$post({ param: { id }, json: { requestId: question.requestId, answer } }),
      );
      say("Answered.");
    },

    async setModel(task: TaskJson): Promise<void> {
      const model = (await ask("Model (none: the appliance's default):", task.model))?.trim();
      if (model === undefined || model === task.model) return say("The model stays as it was.");
      await read(api.tasks[":id"].$patch({ param: { id: task.id }, json: { model } }));
      say(model === "" ? "The task uses the default model now." : `The task uses ${model} now.`);
    },

    async setMode(task: TaskJson): Promise<void> {
      const mode = task.mode === "plan" ? "act" : "plan";
      const question =
        mode === "plan" ? "Let the agent plan, and change nothing until you approve?" : "Let the agent act?";
      if (!(await confirm(question))) return say("The mode stays as it was.");
      await read(api.tasks[":id"].$patch({ param: { id: task.id }, json: { mode } }));
      say(mode === "plan" ? "The agent plans first now." : "The agent acts now.");
    },

    async archive(task: TaskJson): Promise<void> {
      const param = { id: task.id };
      if (task.archivedAt !== undefined) {
        await read(api.tasks[":id"].archive.$delete({ param }));
        return say("The task is back in the list.");
      }
      if (!canPutAway(task)) return say(notAtRest(task));
      if (!(await confirm(`Archive “${short(task)}”? Its sandbox goes, its turns stay.`)))
        return say("Nothing was archived.");
      await read(api.tasks[":id"].archive.$post({ param }));
      if (isOpen(task)) back();
      say("The task is in the archive: the search finds it, and its next prompt takes it back.");
    },

    async remove(task: TaskJson): Promise<void> {
      if (!canPutAway(task)) return say(notAtRest(task));
      if (!(await confirm(`Delete “${short(task)}” with everything that belongs to it?`)))
        return say("Nothing was deleted.");
      const { deletion } = await read(api.tasks[":id"].$delete({ param: { id: task.id }, query: {} }));
      if (isOpen(task)) back();
      const left = ageText((deletion?.removeAt ?? 0) - Date.now());
      say(`Deleted. Until it is removed, in ${left}: ccw-server task restore ${task.id.slice(-6)}`);
    },

    /** Leave for the environment is leave for every task in it, so it is asked for twice. */
    async decide(request: AccessRequestJson, decision: AccessDecision): Promise<void> {
      const target = authorityText(request);
      const all = `Allow ${target} for every task of the environment ${request.environment}?`;
      if (decision === "environment" && !(await confirm(all))) return say("Nothing was allowed.");
      const param = { id: String(request.id) };
      await read(api["access-requests"][":id"].$post({ param, json: { decision } }));
      say(decision === "deny" ? `${target} is denied.` : `${target} is allowed ${scopeInWords[decision]}.`);
    },
  };

  async function choose({ tool, input }: { tool: string; input: unknown }): Promise<Answer | undefined> {
    if (planOf(tool, input) !== undefined) {
      const word = (await ask("Carry out the plan above? y, or say what is to be different:"))?.trim();
      if (word === undefined || word === "") return undefined;
      return /^y(es)?$/i.test(word) ? { kind: "allow" } : { kind: "deny", message: word };
    }
    const asked = questionsOf(tool, input);
    if (asked.length === 0) {
      const word = (await ask(`Allow ${toolCall(tool, input).slice(0, 60)}? [y/n]`))?.trim().toLowerCase();
      if (word === "y" || word === "yes") return { kind: "allow" };
      return word === "n" || word === "no" ? { kind: "deny", message: "The person said no." } : undefined;
    }
    const answers: Record<string, string> = {};
    for (const { question, options } of asked) {
      const choices = [...options.map(({ label }, index) => `${index + 1} ${label}`), "- to decline"];
      const typed = (await ask(`${question} (${choices.join(", ")})`))?.trim();
      if (typed === undefined || typed === "") return undefined;
      if (typed === "-") return { kind: "deny", message: declined };
      answers[question] = (/^\d+$/.test(typed) ? options[Number(typed) - 1]?.label : undefined) ?? typed;
    }
    return { kind: "answers", answers };
  }
}

const short = ({ title }: TaskJson): string => cut(title, 40);

const notAtRest = ({ state }: TaskJson): string =>
  `The task is ${state}: stop it with c first, or wait until it has completed.`;
