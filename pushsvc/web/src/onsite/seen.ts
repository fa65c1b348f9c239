/** How long, in ms. */
const longEnough = 1000;

/** Whether as much of it is in view as counts: half of it, or half of the view
 * where it is larger. */
export function inView(ratio: number, shownArea: number, viewArea: number): boolean {
  return ratio >= 0.5 || (viewArea > 0 && shownArea >= viewArea / 2);
}

/** Calls back once when the visitor has had it before their eyes for a second. */
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
