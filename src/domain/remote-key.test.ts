import { expect, test } from "bun:test";
import { join } from "node:path";
import { remoteKey } from "./remote-key.ts";

const cases: [address: string, key: string | undefined][] = [
  ["git@github.com:Acme/Widget.git", "github.com/acme/widget"],
  ["github.com:acme/widget", "github.com/acme/widget"],
  ["ssh://git@github.com/acme/widget.git", "github.com/acme/widget"],
  ["ssh://git@github.com:22/acme/widget", "github.com/acme/widget"],
  ["https://github.com/acme/widget", "github.com/acme/widget"],
  ["https://user:p%40ss@github.com:443/acme/widget.git/", "github.com/acme/widget"],
  ["https://git.example:8443/team/sub/tool.git", "git.example:8443/team/sub/tool"],
  ["http://10.0.0.7:7080/git/demo.git", "10.0.0.7:7080/git/demo"],
  ["git://host/a", "host/a"],
  ["/srv/git/a.git", undefined],
  ["../a.git", undefined],
  ["file:///srv/a.git", undefined],
  ["C:\\repos\\a", undefined],
  ["ext::sh -c x", "ext/:sh -c x"],
  ["plain", undefined],
  ["https://host", undefined],
];

test("one repository has one key, however its address is written", () => {
  for (const [address, key] of cases) expect([address, remoteKey(address)]).toEqual([address, key]);
});

test("the script of a person's machine says the same", () => {
  const common = join(import.meta.dir, "../http/scripts/common.sh");
  for (const [address, key] of cases) {
    const said = Bun.spawnSync(["sh", "-c", '. "$0"; ccw_key "$1"', common, address]);
    expect([address, said.stdout.toString()]).toEqual([address, key === undefined ? "" : `${key}\n`]);
  }
});

test("a folder's conversations are looked for where the CLI keeps them", () => {
  const common = join(import.meta.dir, "../http/scripts/common.sh");
  for (const path of ["/home/eve/a b_c.d", "/tmp/ü-x/日本/😀 a", "/a'b\"c$d"]) {
    const said = Bun.spawnSync(["sh", "-c", '. "$0"; ccw_folder_name "$1"', common, path]);
    expect(said.stdout.toString()).toBe(path.replace(/[^a-zA-Z0-9]/g, "-"));
  }
});
