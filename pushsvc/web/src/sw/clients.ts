/** The part of WindowClient that the choice of a tab needs. */
export interface Tab {
  id: string;
  url: string;
}

/** What to do with a click: which tab to use and whether it must move. */
export interface Choice<T> {
  tab?: T;
  navigate: boolean;
}

/** Chooses among the open tabs, most recently used first. A tab that shows the
 * URL already wins. Otherwise a tab that this worker controls is taken along:
 * navigate() rejects for the others, and after focus() Chromium has used up the
 * click, so that openWindow would be refused. An empty URL takes any tab. */
export function chooseTab<T extends Tab>(url: string, all: readonly T[], controlled: readonly Tab[]): Choice<T> {
  if (!url) return { tab: all[0], navigate: false };
  const exact = all.find((tab) => tab.url === url);
  if (exact) return { tab: exact, navigate: false };
  const origin = new URL(url).origin;
  const tab = all.find(
    (candidate) =>
      new URL(candidate.url).origin === origin && controlled.some((one) => one.id === candidate.id),
  );
  return { tab, navigate: true };
}
