import type { TaskState } from "../states.ts";

const shapes = {
  queued: "M8 4.5V8l2.2 1.6M8 14.2A6.2 6.2 0 1 0 8 1.8a6.2 6.2 0 0 0 0 12.4Z",
  starting: "M8 1.8A6.2 6.2 0 1 1 1.8 8",
  running: "M8 1.8A6.2 6.2 0 1 1 1.8 8",
  finishing: "M8 11.5v-7M5 7l3-3 3 3M3.5 14h9",
  waiting:
    "M6.1 6a2 2 0 1 1 2.6 2c-.5.2-.7.5-.7 1v.3M8 11.6v.1M8 14.2A6.2 6.2 0 1 0 8 1.8a6.2 6.2 0 0 0 0 12.4Z",
  completed: "m5.2 8.2 2 2 3.6-4.1M8 14.2A6.2 6.2 0 1 0 8 1.8a6.2 6.2 0 0 0 0 12.4Z",
  failed: "m5.8 5.8 4.4 4.4m0-4.4-4.4 4.4M8 14.2A6.2 6.2 0 1 0 8 1.8a6.2 6.2 0 0 0 0 12.4Z",
  cancelled: "M3.7 3.7l8.6 8.6M8 14.2A6.2 6.2 0 1 0 8 1.8a6.2 6.2 0 0 0 0 12.4Z",
  idle: "m5.2 8.2 2 2 3.6-4.1M8 14.2A6.2 6.2 0 1 0 8 1.8a6.2 6.2 0 0 0 0 12.4Z",
  paused: "M6.4 5.7v4.6M9.6 5.7v4.6M8 14.2A6.2 6.2 0 1 0 8 1.8a6.2 6.2 0 0 0 0 12.4Z",
  plus: "M8 3v10M3 8h10",
  usage: "M3.5 13V9.5M8 13V3M12.5 13V6.5",
  settings: "M2 4.5h7M12 4.5h2M2 11.5h2M7 11.5h7M10.5 6.3V2.7M5.5 13.3V9.7",
  back: "M9.5 3 4.5 8l5 5",
  branch:
    "M4.5 5.5v5M11.5 5.5c0 3-7 2-7 5M4.5 5.5a1.6 1.6 0 1 0 0-3.2 1.6 1.6 0 0 0 0 3.2ZM4.5 13.7a1.6 1.6 0 1 0 0-3.2 1.6 1.6 0 0 0 0 3.2ZM11.5 5.5a1.6 1.6 0 1 0 0-3.2 1.6 1.6 0 0 0 0 3.2Z",
  review:
    "M4.5 5.6v4.8M4.5 5.5a1.6 1.6 0 1 0 0-3.2 1.6 1.6 0 0 0 0 3.2ZM4.5 13.7a1.6 1.6 0 1 0 0-3.2 1.6 1.6 0 0 0 0 3.2ZM11.5 13.7a1.6 1.6 0 1 0 0-3.2 1.6 1.6 0 0 0 0 3.2ZM11.5 10.4V6A2.1 2.1 0 0 0 9.4 3.9H7.6M9.2 2.2 7.5 3.9l1.7 1.7",
  copy: "M5.5 5.5V3h7.5v7.5h-2.5M3 5.5h7.5V13H3z",
  up: "M8 13V3M3.8 7.2 8 3l4.2 4.2",
  edit: "m3 13 .6-2.8 7.3-7.3 2.2 2.2-7.3 7.3z",
  attach: "m13 7.5-5.2 5.2a3 3 0 0 1-4.3-4.2l5.6-5.6a2 2 0 0 1 2.9 2.8l-5.6 5.6a1 1 0 0 1-1.4-1.4l4.7-4.7",
  down: "M8 3v10M3.8 8.8 8 13l4.2-4.2",
  check: "m3.5 8.5 3 3 6-7",
  lock: "M4 7.2h8V13H4zM5.6 7.2V5.4a2.4 2.4 0 0 1 4.8 0v1.8",
  cross: "m4 4 8 8m0-8-8 8",
  warning: "M8 6v3.2M8 11.4v.1M8 2.2 14.3 13H1.7z",
} as const;

/** Drawn, never alone: each stands beside a word or has one in its label. */
export function Icon({ name, turning = false }: { name: keyof typeof shapes; turning?: boolean }) {
  return (
    <svg class={turning ? "icon turning" : "icon"} viewBox="0 0 16 16" aria-hidden="true">
      <path d={shapes[name]} />
    </svg>
  );
}

export function StateIcon({ state }: { state: TaskState }) {
  return <Icon name={state} turning={state === "running" || state === "starting"} />;
}
