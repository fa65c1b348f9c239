// Which of the built-in texts a visitor sees.

/** Codes that were renamed; browsers still send some of them. */
const renamed: Record<string, string> = { iw: "he", in: "id" };
const traditional = /^zh\b.*-(hant|tw|hk|mo)\b/;

/** The first of the wanted BCP 47 tags that has texts, else English. Regions do not count,
 * except that Chinese has two scripts. */
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

/** Replaces {name} by its value; a name without a value stays. Values are not searched: a
 * site may be called "{s}". */
export function fill(text: string, values: Record<string, string>): string {
  return text.replace(/\{(\w)\}/g, (whole, name: string) => values[name] ?? whole);
}
