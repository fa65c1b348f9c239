/** The part of WindowClient that the choice of a tab needs. */
export interface Tab {
  id: string;
  url: string;
}

/** What to do with a click: which tab to use, and whether it must navigate. */
export interface Choice<T> {
  tab?: T;
  navigate: boolean;
}

/** Chooses among the open tabs, most recently used first. A tab that shows the URL wins.
 * Otherwise it takes a tab that this worker controls: navigate() rejects for the others,
 * and after focus() Chromium has used up the click and refuses openWindow. An empty URL
 * takes any tab. */
export function chooseTab<T extends Tab>(url: string, all: readonly T[], controlled: readonly Tab[]): Choice<T> {
  if (!url) return { tab: all[0], navigate: false };
  const exact = all.find((tab) => tab.url === url);
  if (exact) return { tab: exact, navigate: false };
  const origin = new URL(url).origin;
  const tab = all.find(
    (candidate) =>
      new URL(candidate.url).origin === origin && controlled.some((tab) => tab.id === candidate.id),
  );
  return { tab, navigate: true };
}
