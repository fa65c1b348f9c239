// What the user agent's name is needed for, because nothing else tells.

/** Crawlers and test tools of search engines; browsers inside other apps have no
 * push, or lose it with the app's next update. "Cubot" makes telephones. */
export function isRobot(agent: string): boolean {
  return /(^|[^u])bot\b|crawl|spider|slurp|lighthouse|bingpreview|mediapartners|inspectiontool|facebookexternalhit|\bFB(AN|AV|_IAB)\b|instagram|\bline\/|micromessenger|snapchat|tiktok|bytedance|musical_ly|linkedinapp|pinterest\/|\bGSA\/|; wv\)/i.test(agent);
}

/** Whether this is a browser on iOS 16.4 or later: no push there until the site is
 * on the home screen. iPads call themselves Macs, which have no touch screen. */
export function isInstallable(agent: string, touchPoints: number): boolean {
  if (isRobot(agent) || !(/iPhone|iPad|iPod/.test(agent) || (/Macintosh/.test(agent) && touchPoints > 1))) return false;
  const [, major, minor] = /(?:iPhone OS|CPU OS|Version)[ /](\d+)[._](\d+)/.exec(agent) ?? [];
  return Number(major) * 100 + Number(minor) >= 1604;
}

/** What kind of device it is, by what its browser calls itself. */
export function deviceOf(agent: string, touchPoints: number): "desktop" | "phone" | "tablet" {
  if (/iPad|Tablet|Android(?!.*Mobile)/.test(agent) || (/Macintosh/.test(agent) && touchPoints > 1)) return "tablet";
  return /Mobi/.test(agent) ? "phone" : "desktop";
}
