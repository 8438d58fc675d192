import { expect, test } from "bun:test";
import { createServer } from "node:net";
import { createUpstreamHttp } from "./upstream-http.ts";

test("a body that is longer than was announced never reaches the server as a request of its own", async () => {
  let heard = "";
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.on("data", (bytes) => {
      heard += bytes.toString();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const http = createUpstreamHttp();
  async function* body() {
    yield Buffer.from("abc");
    yield Buffer.from("GET /other HTTP/1.1\r\n\r\n");
  }
  try {
    const sent = http.send({
      url: new URL(`http://127.0.0.1:${typeof address === "object" ? address?.port : 0}/`),
      method: "POST",
      headers: { "content-length": "3" },
      body: body(),
      signal: AbortSignal.timeout(30_000),
    });
    await expect(sent).rejects.toMatchObject({ code: "invalid" });
    expect(heard).not.toContain("/other");
  } finally {
    http.close();
    server.close();
  }
});
