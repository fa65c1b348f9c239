// What CleverTap accepts as a visitor's attributes, and its error messages.

import type { Log } from "./log";
import { isObject, plain, properties } from "./rules";

/** Attributes with a fixed meaning. They cannot be nested. */
const restricted = ["Name", "Email", "Education", "Married", "DOB", "Gender", "Phone", "Age", "FBID", "GPID", "Birthday", "Identity"];

const genders: Record<string, string> = { male: "M", female: "F", others: "O", unknown: "U" };
const oneOf = (...values: string[]) => (value: unknown) => (values.includes(value as string) ? value : undefined);
const yesOrNo = oneOf("Y", "N");

/** By attribute: a function that returns the value to keep, undefined for a wrong one, and
 * the error message for a wrong one. */
const checks: Record<string, [(value: unknown, given: unknown) => unknown, string]> = {
  Gender: [
    (value) => oneOf("M", "F", "O", "U")(genders[String(value).toLowerCase()] ?? value),
    "Gender value should be one of M, F, O, U, male, female, others, unknown",
  ],
  Employed: [yesOrNo, "Employed value should be either Y or N"],
  Married: [yesOrNo, "Married value should be either Y or N"],
  Education: [oneOf("School", "College", "Graduate"), "Education value should be either School, College or Graduate"],
  Age: [number, "Age value should be a number"],
  DOB: [
    (value, given) => ((given instanceof Date ? /^\$D_-?\d+$/ : /^\$D_\d{8}$/).test(String(value)) ? value : undefined),
    "DOB value should be a Date Object or $D_ and yyyymmdd",
  ],
  Phone: [
    (value) => (typeof value === "number" ? value : /^\+\d{8,15}$/.test(String(value)) ? Number(value) : undefined),
    "Phone number should be formatted as +[country code][number]",
  ],
  Identity: [(value) => (["string", "number"].includes(typeof value) ? value : undefined), "Identity should be a string or a number"],
};

function number(value: unknown): unknown {
  const given = typeof value === "string" && value.trim() ? Number(value) : value;
  return typeof given === "number" && isFinite(given) ? given : undefined;
}

type Values = Record<string, unknown>;

const list = (value: unknown): Values[] => (Array.isArray(value) ? value.filter(isObject) : []);
const text = (value: unknown) => (value == null ? undefined : String(value));

/** Returns a date as attributes have it, `$D_yyyymmdd`; undefined if there is no such day. */
function day(year?: string, month?: string, dayOfMonth?: string): string | undefined {
  const date = new Date(`${year}-${month}-${dayOfMonth}T00:00Z`);
  return isNaN(+date) || date.getUTCDate() !== Number(dayOfMonth) ? undefined : "$D_" + year + month + dayOfMonth;
}

/** Converts a profile from Facebook. */
function facebook(user: Values): Values {
  const schools = list(user.education).map(({ type }) => type);
  const [month, dayOfMonth, year] = String(user.birthday).split("/");
  return {
    Name: user.name,
    FBID: text(user.id),
    Gender: { male: "M", female: "F" }[user.gender as string] ?? "O",
    Education: schools.includes("Graduate School") ? "Graduate" : schools.includes("College") ? "College" : schools.includes("High School") ? "School" : undefined,
    Married: user.relationship_status == null ? undefined : user.relationship_status === "Married" ? "Y" : "N",
    Employed: (user.work as { length?: number } | null | undefined)?.length ? "Y" : "N",
    Email: user.email,
    DOB: day(year, month, dayOfMonth),
  };
}

/** Converts a profile from Google Plus. */
function google(user: Values): Values {
  const { image, organizations, relationshipStatus: status } = user;
  return {
    Name: user.displayName,
    GPID: text(user.id),
    Gender: { male: "M", female: "F", other: "O" }[user.gender as string],
    Photo: isObject(image) && image.isDefault === false ? String(image.url).split("?sz")[0] : undefined,
    Email: list(user.emails).filter(({ type }) => type === "account").pop()?.value,
    Employed: organizations == null ? undefined : list(organizations).some(({ type }) => type === "work") ? "Y" : "N",
    DOB: day(...String(user.birthday).split("-")),
    Married: status == null ? undefined : status === "married" ? "Y" : "N",
  };
}

/** Returns the attributes in one argument of profile.push or onUserLogin.push: those of
 * `{Site: {...}}`, or of a social network under its name. Returns undefined if there are
 * none. */
export function attributesOf(given: Values): Values | undefined {
  if (given.Site != null) return isObject(given.Site) ? given.Site : undefined;
  for (const [network, read] of [["Facebook", facebook], ["Google Plus", google]] as const) {
    const user = given[network];
    if (user == null) continue;
    if (!isObject(user) || user.error || !Object.keys(user).length) return undefined;
    return Object.fromEntries(Object.entries(read(user)).filter(([, value]) => value != null));
  }
  return undefined;
}

/** Returns the attributes to keep. It drops wrong attributes one by one. Attributes without
 * a fixed meaning follow the rules of event properties. */
export function profile(given: Record<string, unknown>, log: Log): Record<string, unknown> {
  const { _custom: custom, ...others } = given;
  given = isObject(custom) ? { ...others, ...custom } : given;
  const kept = properties(given, log);
  for (const name of restricted) {
    if (typeof kept[name] !== "object") continue;
    delete kept[name];
    log.error(`'${name}' is a restricted profile property and cannot have nested values`, 513);
  }
  for (const [name, [check, why]] of Object.entries(checks)) {
    if (!(name in kept)) continue;
    const value = check(kept[name], given[name]);
    if (value === undefined) {
      delete kept[name];
      log.error(why + ". This property has been ignored.");
    } else kept[name] = value;
  }
  return kept;
}

/** The methods of profile for single attributes, and their operators on the wire. */
export const operators: Record<string, string> = {
  setMultiValuesForKey: "$set",
  addMultiValueForKey: "$add",
  addMultiValuesForKey: "$add",
  removeMultiValueForKey: "$remove",
  removeMultiValuesForKey: "$remove",
  removeValueForKey: "$delete",
  handleIncrementValue: "$incr",
  handleDecrementValue: "$decr",
};

/** Returns one call of such a method as `{<key>: {<operator>: <operand>}}`, undefined if it
 * is dropped. Multi-values are numbers and lower-case texts without duplicates. Keys may
 * be paths such as `Cars[0].seats`. */
export function operation(method: string, key: unknown, given: unknown, log: Log): Record<string, unknown> | undefined {
  const operator = operators[method]!;
  const wrong = (why: string) => void log.error(`${method} should be called with ${why}`);
  if (typeof key !== "string" || !key) return wrong("a key");
  const name = key.slice(0, 1024);
  if (operator === "$delete") return { [name]: { $delete: true } };
  if (/cr$/.test(operator)) {
    const valid = typeof given === "number" && given > 0 && isFinite(given);
    return valid ? { [name]: { [operator]: given } } : wrong("a key and a number greater than zero");
  }
  if (/Values/.test(method) !== Array.isArray(given)) {
    return wrong("a key and " + (Array.isArray(given) ? "one value" : "a list of values"));
  }
  const values = (Array.isArray(given) ? given : [given]).slice(0, 100).flatMap((value): (string | number)[] => {
    const clean = plain(value, log);
    if (typeof clean === "string") return [clean.toLowerCase()];
    if (typeof clean === "number") return [clean];
    log.error(method + ": only strings and numbers are supported");
    return [];
  });
  if (!values.length && operator !== "$set") return undefined;
  return { [name]: { [operator]: [...new Set(values)] } };
}
