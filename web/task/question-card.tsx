import { useMemo } from "preact/hooks";
import { type Answer, declined } from "../../src/domain/question.ts";
import { useAppliance } from "../appliance.ts";
import { FailureNote } from "../parts/failure.tsx";
import { useAction, useDraft } from "../parts/hooks.ts";
import { Icon } from "../parts/icon.tsx";
import { LongText } from "../parts/long-text.tsx";
import { MarkdownView } from "../parts/markdown-view.tsx";
import { plain, plainLine } from "../text/plain.ts";
import type { QuestionItem } from "./item.ts";
import {
  answerInWords,
  answerOf,
  type Choice,
  choicesIn,
  choicesText,
  noChoice,
  picked,
  planIn,
  type Question,
  questionsIn,
} from "./questions.ts";

/** What the agent asks a person: a choice, or leave to use a tool. */
export function QuestionCard({
  item,
  taskId,
  ended,
}: {
  item: QuestionItem;
  taskId: string;
  ended: boolean;
}) {
  const { client } = useAppliance();
  const questions = useMemo(() => questionsIn(item.tool, item.input), [item.tool, item.input]);
  const plan = useMemo(() => planIn(item.tool, item.input), [item.tool, item.input]);
  const answer = useAction(async (given: Answer) => {
    const json = { requestId: item.requestId, answer: given };
    await client.read(client.api.tasks[":id"].answers.$post({ param: { id: taskId }, json }));
  });
  const open = item.outcome.kind === "open" && !ended;

  return (
    <section class={open ? "card ask" : "card"} aria-label="Question of the agent">
      <h2>
        <Icon name="waiting" />
        {plan !== undefined
          ? "The agent has a plan"
          : questions === undefined
            ? `The agent asks for leave: ${plainLine(item.tool)}`
            : "The agent asks"}
      </h2>
      {plan !== undefined && <MarkdownView text={plan} />}
      {questions === undefined && plan === undefined && (
        <LongText text={JSON.stringify(item.input, null, 2)} lines={16} />
      )}
      {open ? (
        <fieldset class="answering" disabled={answer.busy.value}>
          {questions === undefined ? (
            <LeaveForm
              requestId={item.requestId}
              words={plan === undefined ? leaveWords : planWords}
              onAnswer={(given) => void answer.run(given)}
            />
          ) : (
            <ChoiceForm
              requestId={item.requestId}
              questions={questions}
              onAnswer={(given) => void answer.run(given)}
            />
          )}
        </fieldset>
      ) : (
        <Settled item={item} questions={questions} />
      )}
      <FailureNote failure={answer.failure.value} />
    </section>
  );
}

function ChoiceForm(props: { requestId: string; questions: Question[]; onAnswer: (answer: Answer) => void }) {
  const { requestId, questions, onAnswer } = props;
  const draft = useDraft(`answer:${requestId}`);
  const choices = choicesIn(draft.value);
  const choiceOf = (question: string) => choices.get(question) ?? noChoice;
  const choose = (question: string, choice: Choice) => {
    draft.value = choicesText(new Map([...choices, [question, choice]]));
  };
  const complete = questions.every(({ question }) => answerOf(choiceOf(question)) !== "");
  const submit = (event: Event) => {
    event.preventDefault();
    if (!complete) return;
    const answers = Object.fromEntries(
      questions.map(({ question }) => [question, answerOf(choiceOf(question))]),
    );
    onAnswer({ kind: "answers", answers });
  };
  return (
    <form onSubmit={submit}>
      {questions.map((question, index) => (
        <QuestionFields
          key={question.question}
          name={`question-${index}`}
          question={question}
          choice={choiceOf(question.question)}
          onChoose={(choice) => choose(question.question, choice)}
        />
      ))}
      <div class="actions">
        <button type="submit" class="primary" disabled={!complete}>
          Answer
        </button>
        <button type="button" onClick={() => onAnswer({ kind: "deny", message: declined })}>
          Decline
        </button>
      </div>
    </form>
  );
}

function QuestionFields(props: {
  name: string;
  question: Question;
  choice: Choice;
  onChoose: (choice: Choice) => void;
}) {
  const { name, question, choice, onChoose } = props;
  const type = question.multiSelect ? "checkbox" : "radio";
  return (
    <fieldset class="question-fields">
      <legend>
        {question.header !== "" && <span class="chip quiet">{plainLine(question.header)}</span>}{" "}
        {plain(question.question)}
      </legend>
      {question.options.map(({ label, description }) => (
        <label key={label} class="option">
          <input
            type={type}
            name={name}
            checked={choice.labels.includes(label)}
            onChange={() => onChoose(picked(choice, label, question.multiSelect))}
          />
          <span>
            {plain(label)}
            {description !== "" && <span class="dim block">{plain(description)}</span>}
          </span>
        </label>
      ))}
      <label class="option">
        <input
          type={type}
          name={name}
          checked={choice.other !== undefined}
          onChange={() => {
            const labels = question.multiSelect ? choice.labels : [];
            onChoose({ labels, other: choice.other === undefined || !question.multiSelect ? "" : undefined });
          }}
        />
        <span>Other</span>
        {choice.other !== undefined && (
          <input
            type="text"
            class="grow"
            aria-label={`Your own answer to: ${plainLine(question.question)}`}
            value={choice.other}
            onInput={(event) => onChoose({ ...choice, other: event.currentTarget.value })}
          />
        )}
      </label>
    </fieldset>
  );
}

interface LeaveWords {
  yes: string;
  no: string;
  /** What is typed beside a no. */
  why: string;
  denied: string;
}
const leaveWords: LeaveWords = {
  yes: "Allow",
  no: "Deny",
  why: "Reason for a denial",
  denied: "The person said no.",
};
const planWords: LeaveWords = {
  yes: "Approve the plan",
  no: "Keep planning",
  why: "What to change in the plan",
  denied: "The person wants another plan.",
};

function LeaveForm(props: { requestId: string; words: LeaveWords; onAnswer: (answer: Answer) => void }) {
  const { requestId, words, onAnswer } = props;
  const reason = useDraft(`deny:${requestId}`);
  return (
    <div class="actions">
      <button type="button" class="primary" onClick={() => onAnswer({ kind: "allow" })}>
        {words.yes}
      </button>
      <button
        type="button"
        onClick={() =>
          onAnswer({
            kind: "deny",
            message: reason.value.trim() === "" ? words.denied : reason.value,
          })
        }
      >
        {words.no}
      </button>
      <input
        type="text"
        class="grow"
        aria-label={`${words.why}, told to the agent`}
        placeholder={`${words.why} (told to the agent)`}
        value={reason.value}
        onInput={(event) => (reason.value = event.currentTarget.value)}
      />
    </div>
  );
}

function Settled({ item, questions }: { item: QuestionItem; questions: Question[] | undefined }) {
  const { outcome } = item;
  if (outcome.kind !== "answered") {
    return (
      <>
        {questions?.map(({ question }) => (
          <p key={question}>{plain(question)}</p>
        ))}
        <p class="dim">Nobody answered; the question is closed.</p>
      </>
    );
  }
  const { verdict, pairs } = answerInWords(outcome.answer);
  return (
    <>
      {pairs.map(([question, given]) => (
        <p key={question}>
          <span class="dim">{plain(question)}</span> <strong>{plain(given)}</strong>
        </p>
      ))}
      <p class="dim">
        {plainLine(outcome.person)} {plain(verdict)}.
      </p>
    </>
  );
}
