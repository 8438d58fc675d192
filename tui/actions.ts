import type { AccessRequestJson, Client, TaskJson } from "../src/client.ts";
import type { AccessDecision } from "../src/domain/access-request.ts";
import { authorityText, scopeInWords } from "../src/domain/access-words.ts";
import type { Answer } from "../src/domain/question.ts";
import { questionsOf, toolCall } from "../src/domain/question-text.ts";
import { canCancel } from "./model.ts";

export interface ActionOptions {
  client: Client;
  /** Undefined where the person leaves it. */
  ask(label: string, text?: string): Promise<string | undefined>;
  confirm(question: string): Promise<boolean>;
  say(text: string): void;
}

/** What a person can do from the terminal view. Failures are the caller's to show. */
export function createActions({ client, ask, confirm, say }: ActionOptions) {
  const { api, read } = client;

  return {
    async submit(): Promise<void> {
      const known = (await read(api.repositories.$get())).map(({ name }) => name);
      const only = known.length === 1 ? known[0] : undefined;
      const repository = await ask("Repository (none: leave empty):", only ?? "");
      if (repository === undefined) return;
      const prompt = await ask("What is to be done:");
      if (prompt === undefined || prompt.trim() === "") return say("Nothing was submitted.");
      const name = repository.trim();
      const task = await read(
        api.tasks.$post({ json: { prompt, repositories: name === "" ? [] : [{ name }] } }),
      );
      say(`Submitted as ${task.id}.`);
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
      const text = await ask(now ? "Prompt, at once:" : "Prompt:");
      if (text === undefined || text.trim() === "") return;
      await read(api.tasks[":id"].prompts.$post({ param: { id: task.id }, json: { text, now } }));
      say("Sent.");
    },

    async resume(task: TaskJson): Promise<void> {
      await read(api.tasks[":id"].resume.$post({ param: { id: task.id } }));
      say("The task goes on.");
    },

    async answer({ id }: TaskJson): Promise<void> {
      const { questions } = await read(api.tasks[":id"].$get({ param: { id } }));
      const question = questions[0];
      if (question === undefined) return say("The task does not wait for an answer.");
      const answer = await choose(question);
      if (answer === undefined) return say("Nothing was answered.");
      await read(
        api.tasks[":id"].answers.$post({ param: { id }, json: { requestId: question.requestId, answer } }),
      );
      say("Answered.");
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
    const asked = questionsOf(input);
    if (asked.length === 0) {
      const word = (await ask(`Allow ${toolCall(tool, input).slice(0, 60)}? [y/n]`))?.trim().toLowerCase();
      if (word === "y" || word === "yes") return { kind: "allow" };
      return word === "n" || word === "no" ? { kind: "deny", message: "The person said no." } : undefined;
    }
    const answers: Record<string, string> = {};
    for (const { question, options } of asked) {
      const choices = options.map(({ label }, index) => `${index + 1} ${label}`).join(", ");
      const typed = (await ask(`${question}${choices === "" ? "" : ` (${choices})`}`))?.trim();
      if (typed === undefined || typed === "") return undefined;
      answers[question] = (/^\d+$/.test(typed) ? options[Number(typed) - 1]?.label : undefined) ?? typed;
    }
    return { kind: "answers", answers };
  }
}
