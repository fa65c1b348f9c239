import assert from "node:assert/strict";
import { test } from "node:test";
import cases from "../../../onsite/testdata/cases.json";
import { couldApply, type PageFacts, type PopupRule } from "./onsite";

declare const process: { env: Record<string, string> };

interface Case {
  name: string;
  popup: { where?: PopupRule["where"]; from?: string; until?: string; caps?: { session?: number } };
  page: Partial<PageFacts>;
  rule?: Omit<PopupRule, "id">;
  now?: string;
  zone?: string;
  seen?: { session?: number };
  reason?: string;
  pageCannotTell?: boolean;
}

for (const { name, popup, page, rule, now, zone, seen, reason, pageCannotTell } of cases as Case[]) {
  test("onsite: " + name, () => {
    process.env.TZ = zone || "UTC";
    // If the table does not state what pages receive, it is what the operator wrote.
    const pageRule: PopupRule = { id: "p", ...(rule ?? { where: popup.where, from: popup.from, until: popup.until, session: popup.caps?.session }) };
    const facts: PageFacts = {
      path: "/",
      query: "",
      referrer: "",
      device: "desktop",
      language: "",
      visits: 0,
      ...page,
      now: Date.parse(now ?? "2026-11-23T12:00:00Z"),
      shown: { p: seen?.session ?? 0 },
    };
    assert.equal(couldApply(pageRule, facts), !reason || !!pageCannotTell);
  });
}
