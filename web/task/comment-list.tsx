import type { PullRequestJson } from "../../src/client.ts";
import { LongText } from "../parts/long-text.tsx";
import { webAddress } from "../text/markdown.ts";
import { plainLine } from "../text/plain.ts";
import { counted } from "../words.ts";

type Comment = PullRequestJson["comments"][number];

/** What reviewers have written, behind one line; as text, since strangers may write there, too. */
export function CommentList({ comments }: { comments: readonly Comment[] }) {
  return (
    <details>
      <summary>{counted(comments.length, "comment")} of reviewers</summary>
      <ul class="comments">
        {comments.map((comment) => (
          <li key={comment.id}>
            <CommentView {...comment} />
          </li>
        ))}
      </ul>
    </details>
  );
}

function CommentView({ author, authorMayWrite, own, place, webUrl, body }: Comment) {
  const href = webAddress(webUrl);
  const words =
    place === undefined ? "" : ` on ${place.path}${place.line === undefined ? "" : `:${place.line}`}`;
  return (
    <>
      <p>
        <strong>{plainLine(author)}</strong>
        <span class="dim">
          {plainLine(words)}
          {own ? ", by the appliance" : authorMayWrite ? "" : ", who may not write, so it is no prompt"}
        </span>{" "}
        {href !== undefined && (
          <a href={href} target="_blank" rel="noopener noreferrer">
            open
          </a>
        )}
      </p>
      <LongText text={body} lines={12} />
    </>
  );
}
