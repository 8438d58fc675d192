import type { TaskJson } from "../src/client.ts";
import { ageText } from "../src/domain/amounts.ts";
import { fit, styled, wrap } from "./cells.ts";
import { line, moveIn, type Rows, windowOf } from "./rows.ts";
import type { Bindings, KeyWords, Stage } from "./stage.ts";

/** The prompts of a task that wait, in the order in which the agent gets them. */
export interface QueuePage extends Rows {
  kind: "queue";
  task: TaskJson;
  /** Undefined until they have come. */
  prompts: Waiting[] | undefined;
}

interface Waiting {
  id: string;
  text: string;
  person: string;
  attachments: readonly { name: string }[];
  createdAt: number;
}

export function queueLines(page: QueuePage, columns: number, rows: number, now: number): string[] {
  const { task, prompts } = page;
  const head = [
    styled(fit(` Prompts that wait: ${line(task.title)}`, columns), "strong"),
    styled("─".repeat(columns), "dim"),
  ];
  if (prompts === undefined) return head;
  if (prompts.length === 0) return [...head, "", "  No prompt waits. p sends one to the task."];
  const texts = prompts.map(({ text, person, attachments, createdAt }, index) => {
    const files = attachments.length === 0 ? "" : ` [${attachments.map(({ name }) => name).join(", ")}]`;
    const words = fit(line(`${text}${files}`), Math.max(10, columns - 23));
    return ` ${String(index + 1).padStart(2)}  ${words}  ${fit(line(person), 9)} ${ageText(now - createdAt).padStart(4)}`;
  });
  const chosen = prompts[page.at];
  const whole = chosen === undefined || rows < 12 ? [] : wrapped(chosen.text, columns, Math.floor(rows / 3));
  const detail = whole.length === 0 ? [] : [styled("─".repeat(columns), "dim"), ...whole];
  return [...head, ...windowOf(page, texts, columns, rows - head.length - detail.length), ...detail];
}

function wrapped(text: string, columns: number, most: number): string[] {
  const all = text.split("\n").flatMap((part) => wrap(line(part), columns - 2));
  return [...all.slice(0, most), ...(all.length > most ? ["…"] : [])].map((part) => ` ${part}`);
}

export function queueKeys({ prompts, task }: QueuePage): KeyWords {
  const own: KeyWords = prompts?.length
    ? [
        ["↑↓", "select"],
        ["K J", "move up, down"],
        ["e", "edit"],
        ["s", "send now"],
        ["d", "remove"],
      ]
    : [];
  return [...own, ["p", "prompt"], ...(task.held ? [["u", "go on"] as const] : []), ["q", "back"]];
}

export function createQueuePage({ client, go, ask, confirm, say, follow, changed }: Stage) {
  const { api, read } = client;

  async function load(page: QueuePage): Promise<void> {
    const { prompts } = await read(api.tasks[":id"].$get({ param: { id: page.task.id } }));
    const selected = page.prompts?.[page.at]?.id;
    page.prompts = prompts.filter(({ state }) => state === "queued");
    // By its id: what is selected stays so while others are taken or moved.
    const at = page.prompts.findIndex(({ id }) => id === selected);
    page.at = at === -1 ? Math.max(0, Math.min(page.at, page.prompts.length - 1)) : at;
    changed();
  }

  /** Does something with the prompt that is selected, and shows what became of the queue. */
  const onPrompt = (act: (page: QueuePage, prompt: Waiting) => Promise<void>) => (page: QueuePage) => {
    const prompt = page.prompts?.[page.at];
    if (prompt !== undefined) follow(act(page, prompt).finally(() => load(page)));
  };
  const paramOf = (page: QueuePage, prompt: Waiting) => ({ id: page.task.id, promptId: prompt.id });
  const move = (by: number) =>
    onPrompt(async (page, prompt) => {
      const position = page.at + 1 + by;
      if (position < 1 || position > (page.prompts?.length ?? 0)) return;
      const param = paramOf(page, prompt);
      await read(api.tasks[":id"].prompts[":promptId"].move.$post({ param, json: { position } }));
    });

  const bindings: Bindings<QueuePage> = {
    "S-k": move(-1),
    "S-j": move(1),
    e: onPrompt(async (page, prompt) => {
      const text = await ask("Prompt:", prompt.text);
      if (text === undefined || text.trim() === "" || text === prompt.text)
        return say("The prompt stays as it was.");
      const param = paramOf(page, prompt);
      await read(api.tasks[":id"].prompts[":promptId"].$patch({ param, json: { text } }));
      say("The prompt was changed.");
    }),
    s: onPrompt(async (page, prompt) => {
      const param = paramOf(page, prompt);
      await read(api.tasks[":id"].prompts[":promptId"]["send-now"].$post({ param }));
      say("The agent gets it at its next step.");
    }),
    d: onPrompt(async (page, prompt) => {
      if (!(await confirm(`Remove the prompt “${line(prompt.text).slice(0, 40)}”?`)))
        return say("Nothing was removed.");
      await read(api.tasks[":id"].prompts[":promptId"].$delete({ param: paramOf(page, prompt) }));
      say("The prompt was removed.");
    }),
  };

  return {
    bindings,
    load,
    move: (page: QueuePage, by: number) => moveIn(page, page.prompts?.length ?? 0, by),
    open(task: TaskJson): void {
      const page: QueuePage = { kind: "queue", task, prompts: undefined, at: 0, top: 0 };
      go(page);
      follow(load(page));
    },
  };
}
