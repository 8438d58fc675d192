/**
 * Takes the agent's place in a sandbox and says, over the CLI's stream-json protocol, texts at a steady rate, each
 * with the time at which it was written. The prompt is `SECONDS PER_SECOND`. Runs by itself: it imports nothing.
 */
const textBytes = 200;

function say(message: object): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

async function talk(seconds: number, perSecond: number): Promise<void> {
  const began = performance.now();
  for (let i = 0; i < seconds * perSecond; ) {
    const due = ((performance.now() - began) / 1000) * perSecond;
    for (; i < Math.min(due, seconds * perSecond); i++) {
      const text = `${performance.timeOrigin + performance.now()} `.padEnd(textBytes, "x");
      const message = { id: `msg_${i}`, content: [{ type: "text", text }] };
      say({ type: "assistant", message, parent_tool_use_id: null });
    }
    await Bun.sleep(1);
  }
}

for await (const line of console) {
  const { type, uuid, message } = JSON.parse(line);
  if (type !== "user") continue;
  const [seconds = 0, perSecond = 0] = message.content[0].text.split(" ").map(Number);
  say({ type: "system", subtype: "init" });
  say({ type: "user", uuid, isReplay: true, message, parent_tool_use_id: null });
  await talk(seconds, perSecond);
  const usage = { input_tokens: 0, output_tokens: 0 };
  say({ type: "result", is_error: false, result: "Said.", usage });
}

export {};
