import type { Client, TaskJson } from "../src/client.ts";
import type { Page } from "./model.ts";

/** What the pages need of the controller. */
export interface Stage {
  client: Client;
  /** Shows a page; going back leads to the one before it. */
  go(page: Page): void;
  /** Shows a task's transcript, at the place of this event where one is named. */
  openTask(task: TaskJson, at?: number): void;
  /** Asks in the footer; undefined where the person leaves it. */
  ask(label: string, text?: string): Promise<string | undefined>;
  confirm(question: string): Promise<boolean>;
  say(text: string): void;
  /** Work whose failure is said in the footer. */
  follow(work: Promise<void>): void;
  /** What is on the screen is not what the model holds. */
  changed(): void;
}

/** What keys do on one kind of page, by blessed's name of the key. */
export type Bindings<Shown> = Readonly<Record<string, (page: Shown) => void>>;

export type KeyWords = (readonly [key: string, what: string])[];
