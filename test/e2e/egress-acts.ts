import { until } from "./appliance.ts";
import { curl, type Sandbox, type World } from "./egress-world.ts";

/** What a sandbox sees of a request, and what a person does about it by the command line. */

/** Status of a request, and the reason where it was refused and curl shows the refusal's headers (not of a CONNECT). */
export async function statusOf(box: Sandbox, ...argv: string[]): Promise<string> {
  const { out } = await box.sh(
    `${curl} -o /dev/null -w '%{http_connect} %{http_code} %header{x-deny-reason}' ${argv.join(" ")}`,
  );
  const [, connect = "", code = "", reason = ""] = /(\d{3}) (\d{3}) ?(\S*)$/m.exec(out) ?? [];
  return `${code === "000" ? connect : code} ${reason}`.trim();
}

interface RequestRow {
  id: number;
  host: string;
  port: number;
  state: string;
  reason: string;
}

/** The request for access that a refusal has become. */
export const requestFor = (world: World, box: Sandbox, host: string, port = 443): Promise<RequestRow> =>
  until(`a request for ${host}`, async () => {
    const rows = await world.json<RequestRow[]>("egress", "requests", "--all", "--task", box.taskId);
    return rows.find((row) => row.host === host && row.port === port);
  });

/** `allow --task`, `deny`, … */
export async function decide(world: World, request: { id: number }, ...argv: string[]): Promise<void> {
  const { code, err } = await world.ccw("egress", ...argv, String(request.id));
  if (code !== 0) throw new Error(err);
}

export async function edit(world: World, box: Sandbox, ...argv: string[]): Promise<void> {
  const { code, err } = await world.ccw("env", "edit", box.environment, ...argv);
  if (code !== 0) throw new Error(err);
}
