import { Option } from "commander";
import { CcwError } from "../domain/errors.ts";
import { parseBranchName } from "../domain/repository.ts";
import type { Cli } from "./cli.ts";

export function addGitProxyCommand({ program, wiring, io, exitWith }: Cli): void {
  program
    .command("git-proxy")
    .description("run the git door alone, as a relay to one git server, to try git clients with it")
    .requiredOption("--listen <address:port>", "where to listen; port 0 chooses one")
    .requiredOption(
      "--upstream <url>",
      "the git server, http or https, and the path before each repository's",
    )
    .addOption(
      new Option("--policy <policy>", "allow-all: pushes are not judged")
        .choices(["allow-all"])
        .conflicts("branch"),
    )
    .option("--branch <name>", "the one branch that may be pushed, as a task has it")
    .option("--ca <file>", "further authorities that the git server may be signed by, PEM")
    .addHelpText(
      "after",
      `
Paths are passed on as they are: any that ends in /info/refs, /git-upload-pack or /git-receive-pack.
Credentials are the client's own and are passed on as well; this is a tool for conformance runs, with no sign-in
of its own. Let it listen at loopback.

Without --policy a task's rules are in force: pushes to --branch only, forward only; with no --branch, none at all.

Examples:
  ccw-server git-proxy --listen 127.0.0.1:8081 --upstream http://127.0.0.1:8080 --policy allow-all
  ccw-server git-proxy --listen 127.0.0.1:8081 --upstream https://git.example/scm --branch claude/fix-1`,
    )
    .action(
      async (given: {
        listen: string;
        upstream: string;
        policy?: "allow-all";
        branch?: string;
        ca?: string;
      }) => {
        const { policy, branch, ca } = given;
        const code = await wiring.gitProxy({
          ...listenAddress(given.listen),
          upstream: upstreamUrl(given.upstream),
          policy:
            policy === "allow-all"
              ? { kind: "allow-all" }
              : { kind: "task", branch: branch === undefined ? undefined : parseBranchName(branch) },
          caFile: ca,
          onListening: (url) => io.out.write(`Listening at ${url}\n`),
        });
        exitWith(code);
      },
    );
}

function listenAddress(text: string): { hostname: string; port: number } {
  const [, bracketed, plain, port] = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text) ?? [];
  const hostname = bracketed ?? plain;
  if (hostname === undefined || Number(port) > 65_535) {
    throw new CcwError(
      "invalid",
      `${text} is no address to listen at.`,
      "Write it as 127.0.0.1:8081 or [::1]:8081.",
    );
  }
  return { hostname, port: Number(port) };
}

/** Without a slash at its end. */
function upstreamUrl(text: string): string {
  const url = URL.parse(text);
  const plain = url !== null && /^https?:$/.test(url.protocol) && url.search === "" && url.hash === "";
  if (!plain || url.username !== "" || url.password !== "") {
    throw new CcwError(
      "invalid",
      "The upstream is no address of a git server.",
      "Write it as https://git.example or http://127.0.0.1:8080/path, with no user, no password and no query.",
    );
  }
  return url.href.replace(/\/+$/, "");
}
