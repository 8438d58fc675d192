import { type Signal, useSignal } from "@preact/signals";
import { useMemo, useRef } from "preact/hooks";
import type { AttachmentJson } from "../../src/client.ts";
import { bytesText } from "../../src/domain/amounts.ts";
import { maxAttachments } from "../../src/domain/task.ts";
import { failureOf, useAppliance } from "../appliance.ts";
import { plainLine } from "../text/plain.ts";
import type { Failure } from "./hooks.ts";
import { Icon } from "./icon.tsx";
import { upload } from "./upload.ts";

interface Pending {
  key: number;
  name: string;
  /** Undefined while it is being sent. */
  kept: AttachmentJson | undefined;
  /** How much of it is sent, from 0 to 1. */
  sent: number;
  stop: AbortController;
}

export interface Attachments {
  files: Signal<readonly Pending[]>;
  failure: Signal<Failure | undefined>;
  /** Ids for a prompt; those that are still on their way are not among them. */
  ids(): string[];
  busy(): boolean;
  add(files: Iterable<File>): void;
  remove(key: number): void;
  /** Leaves out what has been sent. */
  clear(ids: readonly string[]): void;
  /** For the form that takes pasted and dropped files. */
  handlers: {
    onPaste(event: ClipboardEvent): void;
    onDragOver(event: DragEvent): void;
    onDrop(event: DragEvent): void;
  };
}

/** The files of a prompt that is being written: each is uploaded as soon as it is there. `present`: those it has. */
export function useAttachments(present: readonly AttachmentJson[] = []): Attachments {
  const files = useSignal<readonly Pending[]>(
    present.map((kept, key) => ({ key, name: kept.name, kept, sent: 1, stop: new AbortController() })),
  );
  const failure = useSignal<Failure | undefined>(undefined);
  return useMemo(() => {
    let next = present.length;
    const change = (key: number, changed: Partial<Pending>) => {
      files.value = files.value.map((each) => (each.key === key ? { ...each, ...changed } : each));
    };
    const remove = (key: number) => {
      files.value.find((file) => file.key === key)?.stop.abort();
      files.value = files.value.filter((file) => file.key !== key);
    };
    const send = async (file: File) => {
      const key = next++;
      // What a clipboard holds has no name of its own.
      const name = file.name === "" ? "pasted" : file.name;
      const stop = new AbortController();
      files.value = [...files.value, { key, name, kept: undefined, sent: 0, stop }];
      try {
        const onProgress = (sent: number) => change(key, { sent });
        change(key, { kept: await upload(name, file, { signal: stop.signal, onProgress }) });
      } catch (thrown) {
        // Whoever took it away knows.
        if (stop.signal.aborted) return;
        remove(key);
        const { message, hint } = failureOf(thrown);
        failure.value = { message: `${plainLine(name)} was not attached. ${message}`, hint };
      }
    };
    const add = (given: Iterable<File>) => {
      failure.value = undefined;
      const room = maxAttachments - files.value.length;
      const list = [...given];
      if (list.length > room)
        failure.value = { message: `A prompt takes at most ${maxAttachments} files.`, hint: "" };
      for (const file of list.slice(0, room)) void send(file);
    };
    return {
      files,
      failure,
      ids: () => files.value.flatMap(({ kept }) => (kept === undefined ? [] : [kept.id])),
      busy: () => files.value.some(({ kept }) => kept === undefined),
      add,
      remove,
      clear: (ids) => {
        files.value = files.value.filter(({ kept }) => kept === undefined || !ids.includes(kept.id));
      },
      handlers: {
        onPaste(event) {
          const pasted = event.clipboardData?.files;
          if (pasted === undefined || pasted.length === 0) return;
          event.preventDefault();
          add(pasted);
        },
        onDragOver(event) {
          if (event.dataTransfer?.types.includes("Files")) event.preventDefault();
        },
        onDrop(event) {
          const dropped = event.dataTransfer?.files;
          if (dropped === undefined || dropped.length === 0) return;
          event.preventDefault();
          add(dropped);
        },
      },
    };
  }, [files, failure]);
}

export function AttachButton({ attachments }: { attachments: Attachments }) {
  const picker = useRef<HTMLInputElement>(null);
  return (
    <>
      <button
        type="button"
        class="small"
        title="Or paste, or drop files here"
        onClick={() => picker.current?.click()}
      >
        <Icon name="attach" /> Attach
      </button>
      <input
        ref={picker}
        type="file"
        multiple
        hidden
        aria-label="Files to attach"
        onChange={(event) => {
          add(attachments, event.currentTarget);
        }}
      />
    </>
  );
}

function add(attachments: Attachments, input: HTMLInputElement): void {
  // Copied first: the list is emptied with the field, so that the same file can be chosen again.
  attachments.add([...(input.files ?? [])]);
  input.value = "";
}

/** What is attached so far. */
export function AttachedFiles({ attachments }: { attachments: Attachments }) {
  if (attachments.files.value.length === 0) return null;
  return (
    <ul class="attachments" aria-label="Attached files">
      {attachments.files.value.map(({ key, name, kept, sent }) => (
        <li key={key} class="attached">
          {kept === undefined ? (
            <label class="dim sending">
              Sending {plainLine(name)}… <progress value={sent} max={1} />
            </label>
          ) : (
            <FileView file={kept} />
          )}
          <button
            type="button"
            class="icon-button"
            aria-label={`Do not attach ${plainLine(name)}`}
            onClick={() => attachments.remove(key)}
          >
            <Icon name="cross" />
          </button>
        </li>
      ))}
    </ul>
  );
}

/** A picture as a thumbnail; any other file by its name, to be saved. */
export function FileView({ file }: { file: AttachmentJson }) {
  const { client } = useAppliance();
  const url = client.attachmentUrl(file.id);
  const words = `${plainLine(file.name)}, ${bytesText(file.bytes)}`;
  if (!file.mediaType.startsWith("image/")) {
    return (
      <a class="chip quiet" href={url} download>
        {words}
      </a>
    );
  }
  return (
    <a href={url} target="_blank" rel="noreferrer" title={words}>
      <img class="thumb" src={url} alt={plainLine(file.name)} loading="lazy" />
    </a>
  );
}
