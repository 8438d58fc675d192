import { useEffect, useRef } from "preact/hooks";
import type { TaskJson } from "../../src/client.ts";
import { useAppliance } from "../appliance.ts";
import { ConfirmButton } from "../parts/controls.tsx";
import { FailureNote } from "../parts/failure.tsx";
import { useAction } from "../parts/hooks.ts";
import { useRouter } from "../router.tsx";

const downloads = [
  ["html", "Page to read (HTML)"],
  ["markdown", "Text to read (Markdown)"],
  ["json", "Everything (archive)"],
] as const;

/** What is done to a task as a whole: downloaded, archived, deleted. */
export function TaskMenu({ task, onChanged }: { task: TaskJson; onChanged: () => void }) {
  const { client } = useAppliance();
  const router = useRouter();
  const menu = useRef<HTMLDetailsElement>(null);
  useEffect(() => {
    const close = (event: Event) => {
      const outside = event.target instanceof Node && !menu.current?.contains(event.target);
      const left = event instanceof KeyboardEvent && event.key === "Escape";
      if (menu.current === null || !menu.current.open || !(outside || left)) return;
      menu.current.open = false;
      // Whoever uses the keyboard stands where the menu was.
      if (!outside) menu.current.querySelector("summary")?.focus();
    };
    addEventListener("pointerdown", close);
    addEventListener("keydown", close);
    return () => {
      removeEventListener("pointerdown", close);
      removeEventListener("keydown", close);
    };
  }, []);

  const api = client.api.tasks[":id"];
  const param = { id: task.id };
  const archived = task.archivedAt !== undefined;
  const archive = useAction(async () => {
    await client.read(archived ? api.archive.$delete({ param }) : api.archive.$post({ param }));
    onChanged();
  });
  const remove = useAction(async () => {
    await client.read(api.$delete({ param, query: {} }));
    router.go("/");
  });
  return (
    <details class="menu" ref={menu}>
      <summary class="button small">{archived ? "Archived" : "More"}</summary>
      <div class="menu-body">
        <p class="dim">Download</p>
        {downloads.map(([format, words]) => (
          <a key={format} href={`/api/tasks/${task.id}/export?format=${format}`} download>
            {words}
          </a>
        ))}
        <button type="button" class="small" disabled={archive.busy.value} onClick={() => void archive.run()}>
          {archived ? "Take back from the archive" : "Archive"}
        </button>
        <ConfirmButton
          label="Delete…"
          question="Delete the task and what belongs to it? Its branches stay. It can be restored for a while."
          yes="Yes, delete"
          disabled={remove.busy.value}
          onConfirm={() => void remove.run()}
        />
        <FailureNote failure={archive.failure.value ?? remove.failure.value} />
      </div>
    </details>
  );
}
