import { readdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { messageOf } from "../domain/errors.ts";
import {
  currentOf,
  damageByFsck,
  fetchVerb,
  generationsOf,
  type MirrorHouse,
  makeGeneration,
  markDamaged,
  placeOf,
  refspecs,
} from "./mirror-generations.ts";
import { packTotals, writeManifest } from "./mirror-packs.ts";

const fullCheckMs = 7 * 24 * 3600_000;
const upkeepMs = 3 * 3600_000;
/** Packs are made anew when this share of their objects is unreachable or held twice. */
const worthwhileShare = 0.3;

/** One mirror after another, each with what nobody else wants of the processor. Never rejects. */
export async function maintainMirrors(house: MirrorHouse, signal: AbortSignal): Promise<void> {
  const { folder, log } = house;
  const known = new Map(house.repositories().map((each) => [placeOf(folder, each), each.name]));
  for (const name of await readdir(folder).catch(() => [])) {
    const place = join(folder, name);
    if (!/^[0-9a-f]{40}$/.test(name)) continue;
    try {
      if (signal.aborted) return;
      const repository = known.get(place);
      await house.exclusively(place, () => house.visit(place));
      if (repository !== undefined) await checkAndPack(house, place, repository, signal);
      await removeOld(house, place, repository);
    } catch (thrown) {
      if (signal.aborted) return;
      log.warn("a mirror could not be maintained", { folder: place, reason: messageOf(thrown) });
    }
  }
}

async function checkAndPack(
  house: MirrorHouse,
  place: string,
  repository: string,
  signal: AbortSignal,
): Promise<void> {
  const { git, log, now, limit } = house;
  const current = await currentOf(place);
  if (current === undefined) return;
  const changedAt = await changeOf(join(current, "ccw-packs.json"));
  const checkedAt = await changeOf(join(current, "ccw-checked"));
  const fully = now() - (await changeOf(join(current, "ccw-checked-fully"))) > fullCheckMs;
  if (changedAt <= checkedAt && !fully) return;

  const own = { signal, background: true, timeoutMs: upkeepMs };
  const damage = await damageByFsck(git, current, { thoroughly: fully, signal, background: true });
  if (damage !== undefined) {
    log.warn("a mirror is damaged and is made anew when it is used next", {
      ...{ repository, folder: current, damage },
    });
    return markDamaged(current);
  }
  await writeFile(join(current, "ccw-checked"), "");
  if (fully) await writeFile(join(current, "ccw-checked-fully"), "");

  const { packs } = await packTotals(current);
  if (packs < limit.manyPacks && !(packs > 1 && (await wastedShare(house, current, own)) > worthwhileShare))
    return;
  const config = await Bun.file(join(current, "config")).text();
  const fetch = (into: string) => () =>
    git.run([`--git-dir=${into}`, ...fetchVerb, "--", `file://${current}`, ...refspecs], {
      ...own,
      settings: [
        ["protocol.file.allow", "always"],
        ["pack.threads", "1"],
      ],
    });
  const must = async (work: () => Promise<{ exitCode: number; stderr: string }>) => {
    const { exitCode, stderr } = await work();
    if (exitCode !== 0) throw new Error(`the mirror could not be packed anew: ${stderr.trim()}`);
  };
  let fresh = "";
  const made = await makeGeneration(
    house,
    place,
    /objectformat\s*=\s*sha256/i.test(config) ? "sha256" : "sha1",
    async (into) => {
      fresh = into;
      // The long part, while refreshes go on in the old one.
      await must(fetch(into));
      await must(() => git.run([`--git-dir=${into}`, "pack-refs", "--all"], own));
    },
    (move) =>
      house.exclusively(place, async () => {
        // A refresh may have found damage and replaced it meanwhile; then this is a copy of what nobody wants.
        if ((await currentOf(place)) !== current) throw new Error("another generation was made meanwhile");
        await must(fetch(fresh));
        const head = await git.run([`--git-dir=${current}`, "symbolic-ref", "HEAD"], own);
        if (head.exitCode === 0)
          await must(() => git.run([`--git-dir=${fresh}`, "symbolic-ref", "HEAD", head.stdout.trim()], own));
        await writeManifest(fresh);
        return move();
      }),
  );
  log.info("a mirror was packed anew", { repository, packs, folder: made });
}

/** The share of objects that no branch or tag reaches, or that several packs hold. */
async function wastedShare(
  { git }: MirrorHouse,
  generation: string,
  own: { signal: AbortSignal; background: boolean; timeoutMs: number },
): Promise<number> {
  const counted = await git.run([`--git-dir=${generation}`, "count-objects", "-v"], own);
  const held = Number(/in-pack: (\d+)/.exec(counted.stdout)?.[1] ?? 0);
  const walked = await git.run([`--git-dir=${generation}`, "rev-list", "--objects", "--all", "--count"], own);
  const reached = Number(walked.stdout.trim());
  return held === 0 || walked.exitCode !== 0 ? 0 : 1 - reached / held;
}

/** All but the newest generation; of a repository that is gone, that one, too. */
async function removeOld(house: MirrorHouse, place: string, repository: string | undefined): Promise<void> {
  await house.exclusively(place, async () => {
    const all = await generationsOf(place);
    const old = repository === undefined ? all : all.slice(0, -1);
    let held = 0;
    for (const generation of old) {
      if (house.isHeld(generation)) {
        held++;
        continue;
      }
      // Half a generation is none.
      const gone = join(place, `.new-gone-${crypto.randomUUID()}`);
      await rename(generation, gone);
      await rm(gone, { recursive: true, force: true });
      house.log.info("an old mirror was removed", { repository: repository ?? "", folder: generation });
    }
    if (repository === undefined && held === 0) await rm(place, { recursive: true, force: true });
  });
}

async function changeOf(path: string): Promise<number> {
  return stat(path).then(
    ({ mtimeMs }) => mtimeMs,
    () => 0,
  );
}
