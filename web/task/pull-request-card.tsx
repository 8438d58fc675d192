import { useSignal } from "@preact/signals";
import { useLayoutEffect } from "preact/hooks";
import type { PullRequestJson, TaskJson } from "../../src/client.ts";
import { nameOf } from "../../src/domain/pull-request.ts";
import { useAppliance } from "../appliance.ts";
import { ConfirmButton } from "../parts/controls.tsx";
import { FailureNote } from "../parts/failure.tsx";
import { useAction, useLoaded } from "../parts/hooks.ts";
import { Icon } from "../parts/icon.tsx";
import { MarkdownView } from "../parts/markdown-view.tsx";
import { PullRequestBadge } from "../parts/pull-request-badge.tsx";
import { webAddress } from "../text/markdown.ts";
import { plain, plainLine } from "../text/plain.ts";
import { CheckList } from "./check-list.tsx";
import { CommentList } from "./comment-list.tsx";

/** The server is told that often that somebody looks, and keeps what it knows of the forge fresh. */
const lookMs = 5 * 60_000;

/** Offers the task's work for review, and shows what became of it: one part for each repository. */
export function PullRequestCard({ task, onGrown }: { task: TaskJson; onGrown: () => void }) {
  const { client, tasks, now } = useAppliance();
  // The live list moves at once when a poll finds something; the task's own row only with its events.
  const badges = tasks.value?.find(({ id }) => id === task.id)?.pullRequests ?? task.pullRequests;
  const version = badges.map(({ id, updatedAt }) => `${id} ${updatedAt}`).join();
  const { state, reload } = useLoaded(
    () => client.read(client.api["pull-requests"].$get({ query: { task: task.id } })),
    [task.id, version, Math.floor(now.value / lookMs)],
  );
  const loaded = state.value;
  useLayoutEffect(onGrown, [loaded]);
  if (loaded.kind === "failed") return <FailureNote failure={loaded.failure} retry={reload} />;
  const all = loaded.kind === "loaded" ? loaded.value : [];
  return (
    <section class="card reviews" aria-labelledby="review-title">
      <h2 id="review-title">
        <Icon name="review" /> Review
      </h2>
      {loaded.kind === "loading" && <p class="dim">Loading…</p>}
      {loaded.kind === "loaded" &&
        task.repositories.map(({ name }) => {
          // Newest first: an older one that was closed gave way to it.
          const newest = all.find(({ repository }) => repository === name);
          return (
            <div key={name} class="review">
              {newest !== undefined && <PullRequestView pullRequest={newest} onChanged={reload} />}
              {(newest === undefined || newest.state === "closed") && (
                <OpenButtons task={task} repository={name} onOpened={reload} />
              )}
            </div>
          );
        })}
    </section>
  );
}

function OpenButtons(props: { task: TaskJson; repository: string; onOpened: () => void }) {
  const { client } = useAppliance();
  const { task, repository } = props;
  const open = useAction(async (draft: boolean) => {
    const param = { id: task.id };
    await client.read(client.api.tasks[":id"]["pull-requests"].$post({ param, json: { repository, draft } }));
    props.onOpened();
  });
  const disabled = open.busy.value;
  return (
    <>
      <div class="actions">
        <button type="button" class="primary" disabled={disabled} onClick={() => void open.run(false)}>
          {disabled ? "Opening…" : "Create pull request"}
        </button>
        <button type="button" disabled={disabled} onClick={() => void open.run(true)}>
          Create draft
        </button>
        {task.repositories.length > 1 && <span class="dim">{plainLine(repository)}</span>}
      </div>
      <FailureNote failure={open.failure.value} />
    </>
  );
}

function PullRequestView(props: { pullRequest: PullRequestJson; onChanged: () => void }) {
  const { pullRequest } = props;
  const { title, webUrl, state, trouble, checks, comments, base, head, body, keptBy } = pullRequest;
  const href = webAddress(webUrl);
  const name = plainLine(nameOf(pullRequest));
  return (
    <>
      <p class="review-head">
        <PullRequestBadge {...pullRequest} />
        <strong>{plainLine(title)}</strong>
      </p>
      <p class="dim review-place">
        {href === undefined ? (
          name
        ) : (
          <a href={href} target="_blank" rel="noopener noreferrer">
            {name}
          </a>
        )}
        : <code>{plainLine(head)}</code> into <code>{plainLine(base)}</code>
        {keptBy === "appliance" && ", kept by the appliance"}
      </p>
      {trouble !== "" && state === "open" && (
        <div class="note ask" role="status">
          <Icon name="warning" />
          <div>{plain(trouble)}</div>
        </div>
      )}
      {checks.length > 0 && <CheckList pullRequest={pullRequest} />}
      {comments.length > 0 && <CommentList comments={comments} />}
      {body !== "" && (
        <details>
          <summary>Description</summary>
          <MarkdownView text={body} />
        </details>
      )}
      {state === "open" && keptBy === "appliance" && <OwnActions {...props} />}
      {state === "open" && keptBy === "forge" && <ForgeActions {...props} />}
      {state !== "open" && pullRequest.follow.stopped !== "" && (
        <p class="dim">Not followed any more: {plainLine(pullRequest.follow.stopped)}</p>
      )}
    </>
  );
}

interface ActionProps {
  pullRequest: PullRequestJson;
  onChanged: () => void;
}

/** What a person does with one that no forge keeps. */
function OwnActions({ pullRequest: { id, draft, base, headCommit }, onChanged }: ActionProps) {
  const { client } = useAppliance();
  const routes = client.api["pull-requests"][":id"];
  const param = { id };
  const act = useAction(async (work: () => Promise<unknown>) => {
    try {
      await work();
    } finally {
      onChanged();
    }
  });
  const merge = () => client.read(routes.merge.$post({ param, json: { headCommit } }));
  const ready = () => client.read(routes.$patch({ param, json: { draft: false } }));
  const close = () => client.read(routes.close.$post({ param }));
  return (
    <>
      <div class="actions">
        {draft ? (
          <button type="button" disabled={act.busy.value} onClick={() => void act.run(ready)}>
            Ready for review
          </button>
        ) : (
          <ConfirmButton
            // Asked again when the branch has moved: what is confirmed is what was on show.
            key={headCommit}
            label="Merge"
            main
            question={`Merge ${headCommit.slice(0, 10)} into ${plainLine(base)}?`}
            yes="Yes, merge"
            disabled={act.busy.value}
            onConfirm={() => void act.run(merge)}
          />
        )}
        <ConfirmButton
          label="Close"
          question="Close it without merging?"
          yes="Yes, close"
          disabled={act.busy.value}
          onConfirm={() => void act.run(close)}
        />
      </div>
      <FailureNote failure={act.failure.value} />
    </>
  );
}

/** What the forge keeps can be followed, and marked as ready. */
function ForgeActions({ pullRequest: { id, draft, follow }, onChanged }: ActionProps) {
  const { client } = useAppliance();
  const routes = client.api["pull-requests"][":id"];
  const param = { id };
  const rounds = useSignal(String(follow.maxRounds));
  const act = useAction(async (work: () => Promise<unknown>) => {
    try {
      await work();
    } finally {
      onChanged();
    }
  });
  const switchTo = (on: boolean) => () => {
    const maxRounds = Math.min(50, Math.max(1, Math.round(Number(rounds.value)) || follow.maxRounds));
    return client.read(routes.follow.$put({ param, json: { on, maxRounds } }));
  };
  const ready = () => client.read(routes.$patch({ param, json: { draft: false } }));
  return (
    <>
      <div class="actions">
        <label class="switch">
          <input
            type="checkbox"
            role="switch"
            aria-checked={follow.on}
            checked={follow.on}
            disabled={act.busy.value}
            onChange={(event) => {
              const { checked } = event.currentTarget;
              // What is shown is what the server says, whatever was clicked.
              event.currentTarget.checked = follow.on;
              void act.run(switchTo(checked));
            }}
          />
          Follow
        </label>
        {follow.on ? (
          <span class="dim">
            {follow.working ? "The agent is at work" : "Waiting for checks and comments"} · round{" "}
            {follow.rounds} of {follow.maxRounds}
          </span>
        ) : (
          <label class="rounds">
            for up to
            <input
              type="number"
              min="1"
              max="50"
              value={rounds.value}
              onInput={(event) => (rounds.value = event.currentTarget.value)}
            />
            rounds
          </label>
        )}
        {draft && (
          <button type="button" class="small" disabled={act.busy.value} onClick={() => void act.run(ready)}>
            Ready for review
          </button>
        )}
      </div>
      <p class="dim">
        {follow.stopped === ""
          ? "Failed checks and comments of people who may write become prompts of this task."
          : `It stopped by itself: ${plainLine(follow.stopped)}`}
      </p>
      <FailureNote failure={act.failure.value} />
    </>
  );
}
