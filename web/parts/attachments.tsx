import { type Signal, useSignal } from "@preact/signals";
import { useMemo, useRef } from "preact/hooks";
import type { AttachmentJson } from "../../src/client.ts";
import { bytesText } from "../../src/domain/amounts.ts";
import { maxAttachments } from "../../src/domain/task.ts";
import { failureOf, useAppliance } from "../appliance.ts";
import { plainLine } from "../text/plain.ts";
import type { Failure } from "./hooks.ts";
import { Icon } from "./icon.tsx";

interface Pending {
  key: number;
  name: string;
  /** Undefined while it is being sent. */
  kept: AttachmentJson | undefined;
}

export interface Attachments {
  files: Signal<readonly Pending[]>;
  failure: Signal<Failure | undefined>;
  /** Ids for a prompt; those that are still on their way are not among them. */
  ids(): string[];
  busy(): boolean;
  add(files: Iterable<File>): void;
  remove(key: number): void;
  clear(): void;
  /** For the form that takes pasted and dropped files. */
  handlers: {
    onPaste(event: ClipboardEvent): void;
    onDragOver(event: DragEvent): void;
    onDrop(event: DragEvent): void;
  };
}

/** The files of a prompt that is being written: each is uploaded as soon as it is there. */
export function useAttachments(): Attachments {
  const { client } = useAppliance();
  const files = useSignal<readonly Pending[]>([]);
  const failure = useSignal<Failure | undefined>(undefined);
  return useMemo(() => {
    let next = 0;
    const remove = (key: number) => {
      files.value = files.value.filter((file) => file.key !== key);
    };
    const send = async (file: File) => {
      const key = next++;
      // What a clipboard holds has no name of its own.
      const name = file.name === "" ? "pasted" : file.name;
      files.value = [...files.value, { key, name, kept: undefined }];
      try {
        const kept = await client.upload(name, file);
        files.value = files.value.map((each) => (each.key === key ? { ...each, kept } : each));
      } catch (thrown) {
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
      clear: () => {
        files.value = [];
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
  }, [client, files, failure]);
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
      {attachments.files.value.map(({ key, name, kept }) => (
        <li key={key} class="attached">
          {kept === undefined ? (
            <span class="dim">Sending {plainLine(name)}…</span>
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
