// What the worker posts to the site's pages under `compat onesignal`.

/** One notification and what happened to it. */
export interface WorkerMessage {
  webpush: "display" | "click" | "dismiss";
  id: string;
  title?: string;
  body?: string;
  icon?: string;
  badge?: string;
  image?: string;
  tag?: string;
  data?: unknown;
  actions?: { action: string; title: string; icon?: string; navigate?: string }[];
  /** Where a click leads. */
  url?: string;
  /** The button that was clicked. */
  action?: string;
}
