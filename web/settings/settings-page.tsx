import { useAppliance } from "../appliance.ts";
import { FailureNote } from "../parts/failure.tsx";
import { useAction, useLoaded } from "../parts/hooks.ts";
import { Icon } from "../parts/icon.tsx";
import { Link } from "../router.tsx";
import { plainLine } from "../text/plain.ts";
import { CommitAddress } from "./commit-address.tsx";
import { EnvironmentSection } from "./environment-section.tsx";
import { ForgeSection } from "./forge-section.tsx";
import { ModelSection } from "./model-section.tsx";
import { NotificationSection } from "./notification-section.tsx";
import { RepositorySection } from "./repository-section.tsx";
import { TokenSection } from "./token-section.tsx";

export function SettingsPage() {
  const { client, status } = useAppliance();
  const forges = useLoaded(() => client.read(client.api.forges.$get()), []);
  const connected = forges.state.value;
  const signOut = useAction(async () => {
    await fetch("/sign-out", { method: "POST" });
    // The server's own page says how to sign in again, and nothing of what was shown stays.
    location.assign("/");
  });
  return (
    <div class="page settings">
      <Link to="/" class="back">
        <Icon name="back" /> All tasks
      </Link>
      <h1>Settings</h1>
      <ModelSection />
      <EnvironmentSection />
      <ForgeSection loaded={connected} reload={forges.reload} />
      <RepositorySection
        forges={connected.kind === "loaded" ? connected.value : []}
        changed={forges.reload}
      />
      <NotificationSection />
      <TokenSection />
      <section aria-labelledby="you">
        <h2 id="you">You</h2>
        <p>
          Signed in as <strong>{plainLine(status.value?.person ?? "…")}</strong>.{" "}
          <span class="dim">ccw-server {plainLine(status.value?.version ?? "")}</span>
        </p>
        <CommitAddress />
        <FailureNote failure={signOut.failure.value} />
        <button type="button" disabled={signOut.busy.value} onClick={() => void signOut.run()}>
          Sign out
        </button>
      </section>
    </div>
  );
}
