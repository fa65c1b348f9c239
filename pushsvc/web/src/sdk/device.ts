// What only the user agent string tells.

/** Reports crawlers, search engines' test tools, and browsers inside other apps, which have
 * no push or lose it with the app's next update. "Cubot" makes phones. */
export function isRobot(agent: string): boolean {
  return /(^|[^u])bot\b|crawl|spider|slurp|lighthouse|bingpreview|mediapartners|inspectiontool|facebookexternalhit|\bFB(AN|AV|_IAB)\b|instagram|\bline\/|micromessenger|snapchat|tiktok|bytedance|musical_ly|linkedinapp|pinterest\/|\bGSA\/|; wv\)/i.test(agent);
}

/** Reports whether this is a browser on iOS 16.4 or later, where push works once the site
 * is on the home screen. iPads call themselves Macs, but Macs have no touch screen. */
export function isInstallable(agent: string, touchPoints: number): boolean {
  if (isRobot(agent) || !(/iPhone|iPad|iPod/.test(agent) || (/Macintosh/.test(agent) && touchPoints > 1))) return false;
  const [, major, minor] = /(?:iPhone OS|CPU OS|Version)[ /](\d+)[._](\d+)/.exec(agent) ?? [];
  return Number(major) * 100 + Number(minor) >= 1604;
}

/** The kind of device, by its user agent string. */
export function deviceOf(agent: string, touchPoints: number): "desktop" | "phone" | "tablet" {
  if (/iPad|Tablet|Android(?!.*Mobile)/.test(agent) || (/Macintosh/.test(agent) && touchPoints > 1)) return "tablet";
  return /Mobi/.test(agent) ? "phone" : "desktop";
}
