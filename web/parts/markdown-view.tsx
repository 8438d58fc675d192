import { useMemo } from "preact/hooks";
import { type Block, type Inline, parseMarkdown } from "../text/markdown.ts";
import { plain } from "../text/plain.ts";

export function MarkdownView({ text }: { text: string }) {
  const blocks = useMemo(() => parseMarkdown(plain(text)), [text]);
  return <div class="markdown">{blocks.map(blockView)}</div>;
}

function blockView(block: Block) {
  switch (block.kind) {
    case "paragraph":
      return <p>{block.inline.map(inlineView)}</p>;
    case "heading": {
      // The page's own headings stand above those of the agent.
      const Heading = block.level <= 2 ? "h3" : "h4";
      return <Heading>{block.inline.map(inlineView)}</Heading>;
    }
    case "code":
      return (
        <pre>
          <code>{block.text}</code>
        </pre>
      );
    case "list": {
      const items = block.items.map(({ inline, depth }) => (
        <li class={`depth-${depth}`}>{inline.map(inlineView)}</li>
      ));
      return block.ordered ? <ol start={block.start}>{items}</ol> : <ul>{items}</ul>;
    }
    case "quote":
      return <blockquote>{block.blocks.map(blockView)}</blockquote>;
    case "rule":
      return <hr />;
  }
}

function inlineView(inline: Inline) {
  switch (inline.kind) {
    case "text":
      return inline.text;
    case "code":
      return <code>{inline.text}</code>;
    case "bold":
      return <strong>{inline.inline.map(inlineView)}</strong>;
    case "italic":
      return <em>{inline.inline.map(inlineView)}</em>;
    case "link":
      return (
        <a href={inline.href} target="_blank" rel="noopener noreferrer nofollow" title={inline.href}>
          {inline.inline.map(inlineView)}
        </a>
      );
  }
}
