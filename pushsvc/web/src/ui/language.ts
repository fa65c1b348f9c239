// Which of the built-in texts a visitor gets.

/** Codes that have changed since; browsers still say some of them. */
const renamed: Record<string, string> = { iw: "he", in: "id" };
const traditional = /^zh\b.*-(hant|tw|hk|mo)\b/;

/** The first of the wanted BCP 47 tags for which there are texts, else English.
 * Regions do not count, except that Chinese has two scripts. */
export function chooseLanguage(wanted: readonly (string | undefined)[], known: readonly string[]): string {
  for (const tag of wanted) {
    const lower = (tag ?? "").trim().toLowerCase().replace(/_/g, "-");
    const short = lower.split("-")[0]!;
    const language = traditional.test(lower) ? "zh-Hant" : renamed[short] ?? short;
    if (known.includes(language)) return language;
  }
  return "en";
}

/** Writing direction of a language from chooseLanguage. */
export function direction(language: string): "ltr" | "rtl" {
  return language === "ar" || language === "he" ? "rtl" : "ltr";
}

/** Puts values in place of {name}; what has no value stays. Values are not
 * looked at again: a site may be called "{s}". */
export function fill(text: string, values: Record<string, string>): string {
  return text.replace(/\{(\w)\}/g, (whole, name: string) => values[name] ?? whole);
}
