import { afterEach, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createProcesses } from "../../src/guest/processes.ts";
import { closeHouses, type House, openHouse, textOf } from "./guest-house.ts";

/** What an agent says while nobody can hear it. */

afterEach(closeHouses);

const kill = async (guest: Bun.Subprocess) => {
  createProcesses().killTree(guest.pid);
  await guest.exited;
};
const eventually = async (what: string, fits: () => boolean) => {
  const end = performance.now() + 240_000;
  while (!fits()) {
    if (performance.now() > end) throw new Error(`in vain: ${what}`);
    await Bun.sleep(2);
  }
};

/** The agent's own record: its tools' calls and results, in order, by the names that events have. */
function written(house: House): string[] {
  const projects = join(house.home, ".claude/projects");
  const name = `${house.start.agent.sessionId}.jsonl`;
  let lines: string[];
  try {
    const folder = readdirSync(projects).find((each) => readdirSync(join(projects, each)).includes(name));
    lines = readFileSync(join(projects, folder ?? "", name), "utf8").split("\n");
  } catch {
    return [];
  }
  const ids = /"type":"tool_use","id":"([^"]+)"|"tool_use_id":"([^"]+)"/g;
  return lines.flatMap((line) =>
    Array.from(line.matchAll(ids), ([, use, result]) =>
      use === undefined ? `tool_result ${result}` : `tool_use ${use}`,
    ),
  );
}
const told = (house: House) =>
  house
    .events()
    .flatMap((event) =>
      event.kind === "tool_use" || event.kind === "tool_result" ? [`${event.kind} ${event.toolUseId}`] : [],
    );

test("a result is told that came unheard, to an answer that the agent had to ask for in one piece", async () => {
  const house = await openHouse();
  const first = house.startGuest();
  house.command({ kind: "prompt", promptId: "prm_1", text: "PLAY cut sleep 1; echo through" });
  await house.until((event) => event.kind === "tool_use");
  first.kill("SIGSTOP");
  await eventually("its result in the record", () => written(house).length === 2);
  await kill(first);
  house.startGuest();
  await house.until((event) => event.kind === "turn_ended");
  expect(told(house)).toEqual(written(house));
  expect(textOf(house.events(), "assistant_text")).toBe("In one piece.All done.");
}, 600_000);

test("a guest that is stopped and killed again and again leaves nothing out, and tells nothing twice", async () => {
  const house = await openHouse();
  let guest = house.startGuest();
  house.command({ kind: "prompt", promptId: "prm_1", text: "PLAY local 40" });
  const isOver = () => house.events().some(({ kind }) => kind === "turn_ended");
  for (const heardMs of [0, 20, 50, 90, 130, 200, 0, 400]) {
    const before = told(house).length;
    await eventually("a word", () => told(house).length > before || isOver());
    await Bun.sleep(heardMs);
    guest.kill("SIGSTOP");
    // The guest is the agent's way to the model, too: it ends what it had begun, and no more.
    await Bun.sleep(heardMs === 0 ? 0 : 500);
    await kill(guest);
    guest = house.startGuest();
  }
  await house.until((event) => event.kind === "turn_ended");
  await eventually("all that was written", () => written(house).every((each) => told(house).includes(each)));
  expect(told(house).filter((each, index, list) => list.indexOf(each) !== index)).toEqual([]);
  expect(house.events().filter(({ kind }) => kind === "turn_ended")).toHaveLength(1);
}, 600_000);
