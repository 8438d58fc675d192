import type { Client, TaskJson } from "../../src/client.ts";
import { CcwError } from "../../src/domain/errors.ts";
import type { Random } from "./random.ts";
import type { Act, Script } from "./script.ts";
import type { Stage } from "./stage.ts";
import { newMark } from "./witness.ts";

/** What people have asked for, and what the appliance answered: what the oracle holds the store against. */
export interface Ledger {
  prompts: SaidPrompt[];
  /** Why tasks had to be let go on. */
  stops: { taskId: string; state: string; reason: string; at: number }[];
  stuck: { taskId: string; state: string }[];
  rests: Set<string>;
}

/** `unanswered`: the server was gone before it answered, so that it may or may not have been done. */
type Word = "answered" | "unanswered";

export interface SaidPrompt {
  taskId: string | undefined;
  id: string | undefined;
  said: Word;
  /** The words as they were first, and after each edit. */
  marks: { mark: string; said: Word }[];
  removed?: Word;
}

export interface People {
  ledger: Ledger;
  /** A task from its submission to its rest, with everything that its person does in between. */
  live(script: Script, random: Random): Promise<void>;
  /** Takes care of a task until it rests for good. */
  attend(taskId: string): Promise<void>;
}

export interface Patience {
  /** On a loaded machine, with a fault at every step, a task takes its time: what comes to an end at all is not stuck. */
  patienceMs: number;
  /** By the monotonic clock: whatever has not come to its end by then is stuck. */
  until: number;
}

export function createPeople(stage: Stage, { patienceMs, until }: Patience): People {
  const ledger: Ledger = { prompts: [], stops: [], stuck: [], rests: new Set() };
  let marks = 0;

  /** Undefined where the server refused it; what it may have done before it died is `unanswered`. */
  const ask = async <Value>(
    work: (client: Client) => Promise<Value>,
  ): Promise<{ said: "answered"; value: Value } | { said: "unanswered" | "refused" }> => {
    const client = await stage.client();
    try {
      return { said: "answered", value: await work(client) };
    } catch (thrown) {
      if (!(thrown instanceof CcwError)) return { said: "unanswered" };
      return { said: thrown.code === "unavailable" ? "unanswered" : "refused" };
    }
  };

  /** Says something new until it was answered; each time in other words, for the last ones may have been heard. */
  const say = async (
    taskId: string | undefined,
    words: string,
    send: (client: Client, text: string) => Promise<string>,
  ): Promise<SaidPrompt | undefined> => {
    for (let tries = 1; tries <= 200; tries++) {
      const mark = newMark(++marks);
      const prompt: SaidPrompt = {
        ...{ taskId, id: undefined, said: "unanswered" },
        marks: [{ mark, said: "answered" }],
      };
      ledger.prompts.push(prompt);
      const answer = await ask((client) => send(client, `${words}\n\n(${mark})`));
      if (answer.said === "answered") return Object.assign(prompt, { said: "answered", id: answer.value });
      if (answer.said === "refused") ledger.prompts.splice(ledger.prompts.indexOf(prompt), 1);
      await Bun.sleep(300);
    }
    return undefined;
  };

  const read = async (id: string) => {
    const answer = await ask((client) => client.read(client.api.tasks[":id"].$get({ param: { id } })));
    return answer.said === "answered" ? answer.value : undefined;
  };

  const addPrompt = (id: string, words: string, now: boolean) =>
    say(id, words, async (client, text) => {
      const added = await client.read(
        client.api.tasks[":id"].prompts.$post({ param: { id }, json: { text, now } }),
      );
      return added.id;
    });

  /** A prompt of the task that waits, as far as its person knows. */
  const waiting = async (id: string): Promise<SaidPrompt | undefined> => {
    const queued = (await read(id))?.prompts.filter(({ state }) => state === "queued") ?? [];
    return ledger.prompts.findLast((prompt) => queued.some((row) => row.id === prompt.id));
  };

  const perform = async (id: string, { kind, words }: Act): Promise<void> => {
    const param = { id };
    switch (kind) {
      case "prompt":
        await addPrompt(id, words, false);
        return;
      case "prompt now":
        await addPrompt(id, words, true);
        return;
      case "edit": {
        const prompt = await waiting(id);
        if (prompt?.id === undefined) return;
        const [promptId, mark] = [prompt.id, newMark(++marks)];
        const json = { text: `demo: jot edited\n\n(${mark})` };
        const { said } = await ask((client) =>
          client.read(client.api.tasks[":id"].prompts[":promptId"].$patch({ param: { id, promptId }, json })),
        );
        if (said !== "refused") prompt.marks.push({ mark, said });
        return;
      }
      case "remove": {
        const prompt = await waiting(id);
        if (prompt?.id === undefined) return;
        const promptId = prompt.id;
        const { said } = await ask((client) =>
          client.read(client.api.tasks[":id"].prompts[":promptId"].$delete({ param: { id, promptId } })),
        );
        if (said !== "refused") prompt.removed = said;
        return;
      }
      case "move":
      case "send now": {
        const promptId = (await waiting(id))?.id;
        if (promptId === undefined) return;
        await ask((client) => {
          const prompt = client.api.tasks[":id"].prompts[":promptId"];
          return kind === "move"
            ? client.read(prompt.move.$post({ param: { id, promptId }, json: { position: 1 } }))
            : client.read(prompt["send-now"].$post({ param: { id, promptId } }));
        });
        return;
      }
      case "interrupt":
        await ask((client) => client.read(client.api.tasks[":id"].interrupt.$post({ param })));
        return;
      case "cancel":
        await ask((client) => client.read(client.api.tasks[":id"].cancel.$post({ param })));
        // A person who thinks better of it.
        await addPrompt(id, words, false);
        return;
      case "roll back":
        await ask((client) =>
          client.read(client.api.tasks[":id"].rollback.$post({ param, json: { turn: 1 } })),
        );
        await addPrompt(id, words, false);
    }
  };

  /** Whether the task rests for good; helps it on where a person's word is wanted. */
  const look = async (id: string): Promise<TaskJson["state"] | "rests"> => {
    const found = await read(id);
    if (found === undefined) return "queued";
    const { task, prompts, questions } = found;
    const { state } = task;
    for (const { requestId } of questions) {
      const json = { requestId, answer: { kind: "answers" as const, answers: { [colour]: "Green" } } };
      await ask((client) => client.read(client.api.tasks[":id"].answers.$post({ param: { id }, json })));
    }
    const waits = prompts.some((prompt) => prompt.state === "queued");
    if (state === "completed" && !waits && !task.held) return "rests";
    if (state === "cancelled") await addPrompt(id, "demo: remember", false);
    if (state === "paused" || state === "failed") {
      ledger.stops.push({ taskId: id, state, reason: task.detail, at: Date.now() });
      await ask((client) => client.read(client.api.tasks[":id"].resume.$post({ param: { id } })));
    }
    return state;
  };

  const attend = async (id: string) => {
    const end = Math.min(performance.now() + patienceMs, until);
    let state: TaskJson["state"] | "rests" = "queued";
    while (performance.now() < end) {
      state = await look(id);
      if (state === "rests") {
        ledger.rests.add(id);
        return;
      }
      await Bun.sleep(500);
    }
    ledger.stuck.push({ taskId: id, state });
  };

  return {
    ledger,
    attend,
    async live({ first, acts }, random) {
      const repositories = random.below(10) === 0 ? [] : [{ name: "demo" }];
      const prompt = await say(undefined, first, async (client, text) => {
        const task = await client.read(client.api.tasks.$post({ json: { prompt: text, repositories } }));
        return task.id;
      });
      if (prompt === undefined) throw new Error("a task could not be submitted");
      // What the appliance names is the task; its prompt's own id stands in the store.
      const taskId = prompt.id ?? "";
      Object.assign(prompt, { taskId, id: undefined });
      for (const act of acts) {
        await Bun.sleep(act.afterMs);
        await perform(taskId, act);
      }
      await attend(taskId);
    },
  };
}

const colour = "Which colour shall I write down?";
