/** How long a pop-up has to be in view, in ms. */
const longEnough = 1000;

/** Reports whether enough is in view: half of the pop-up, or half of the view if the pop-up
 * is larger. */
export function inView(ratio: number, shownArea: number, viewArea: number): boolean {
  return ratio >= 0.5 || (viewArea > 0 && shownArea >= viewArea / 2);
}

/** Calls back once, when the pop-up was in view for a second. */
export function whenSeen(element: Element, seen: () => void, signal: AbortSignal): void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let visible = false;
  const stop = () => {
    observer.disconnect();
    clearTimeout(timer);
  };
  const update = () => {
    clearTimeout(timer);
    if (!visible || document.visibilityState !== "visible" || signal.aborted) return;
    timer = setTimeout(() => {
      stop();
      seen();
    }, longEnough);
  };
  const observer = new IntersectionObserver(
    (entries) => {
      const { intersectionRatio, intersectionRect } = entries[entries.length - 1]!;
      const now = inView(intersectionRatio, intersectionRect.width * intersectionRect.height, innerWidth * innerHeight);
      if (now === visible) return;
      visible = now;
      update();
    },
    { threshold: [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1] },
  );
  document.addEventListener("visibilitychange", update, { signal });
  signal.addEventListener("abort", stop);
  observer.observe(element);
}
