import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { useAppliance } from "./appliance.ts";
import { Chooser } from "./parts/chooser.tsx";
import { useLoaded } from "./parts/hooks.ts";
import { plainLine } from "./text/plain.ts";

/** The appliance lists at most so many branches; beyond that it is asked for what was typed. */
const mostListed = 1000;
const typingPauseMs = 300;

/** Where the task begins. A forge is asked for its branches when somebody looks; if it does not answer, a name is typed. */
export function BranchField(props: {
  repository: { name: string; kind: "hosted" | "remote"; defaultBranch: string };
  /** Empty for the default branch. */
  value: string;
  onChoose: (branch: string) => void;
}) {
  const { client } = useAppliance();
  const { name: repository, kind, defaultBranch } = props.repository;
  const looked = useSignal(kind === "hosted");
  const typed = useSignal("");
  const search = useSignal("");
  const { state, reload } = useLoaded(async () => {
    if (!looked.value) return undefined;
    const query = { repository, ...(search.value !== "" && { search: search.value }) };
    return await client.read(client.api.branches.$get({ query }));
  }, [repository, looked.value, search.value]);
  const loaded = state.value;
  const branches = loaded.kind === "loaded" ? loaded.value : undefined;
  const searches = search.value !== "" || (branches?.length ?? 0) >= mostListed;
  useEffect(() => {
    if (!searches) return;
    const timer = setTimeout(() => (search.value = typed.value), typingPauseMs);
    return () => clearTimeout(timer);
  }, [typed.value, searches]);

  const hint =
    loaded.kind === "failed"
      ? `${plainLine(loaded.failure.message)} Type the branch's name, or look again.`
      : branches === undefined && looked.value
        ? "Asking for the branches…"
        : branches?.length === 0 && search.value === ""
          ? "No commits yet."
          : undefined;
  const value = props.value === "" ? defaultBranch : props.value;
  const names = new Set([defaultBranch, value, ...(branches ?? [])]);
  return (
    <Chooser
      label="Branch"
      name="branch"
      value={value}
      choices={[...names].map((name) => ({
        value: name,
        words: name,
        ...(name === defaultBranch && { aside: "default" }),
      }))}
      takesTyped={loaded.kind === "failed"}
      onOpen={() => {
        looked.value = true;
        if (loaded.kind === "failed") reload();
      }}
      onType={(text) => (typed.value = text)}
      onChoose={(name) => props.onChoose(name === defaultBranch ? "" : name)}
      {...(hint !== undefined && { hint })}
    />
  );
}
