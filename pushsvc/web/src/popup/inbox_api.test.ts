import assert from "node:assert/strict";
import { test } from "node:test";
import type { Message } from "./inbox_messages";
import { inboxFunctions } from "./inbox_api";

function inbox() {
  const messageOf = (id: string, read?: boolean): Message => ({
    popup: { id, token: "t", kind: "inbox", content: { title: "T " + id, body: "B", kv: { a: "1" } }, legacy: { msgId: id + "_20260101" } },
    at: 1_700_000_000_999,
    read,
  });
  const did: string[] = [];
  const bell = {
    messages: [messageOf("a"), messageOf("b", true), messageOf("c")],
    change: (list: Message[]) => {
      bell.messages = list;
      did.push("change " + list.map(({ popup, read }) => popup.id + (read ? "+" : "")).join(" "));
    },
    toggle: () => void did.push("toggle"),
  };
  return { did, api: inboxFunctions(bell) as Record<string, (...args: unknown[]) => unknown> };
}

const shaped = { id: "a", wzrk_id: "a_20260101", viewed: 0, date: 1_700_000_000, msg: [{ title: "T a", description: "B", imageUrl: undefined }], kv: { a: "1" } };

// CLEVERTAP.md names each test.
const rows: [string, unknown[], unknown, string[]][] = [
  ["getInboxMessageCount", [], 3, []],
  ["getInboxMessageUnreadCount", [], 2, []],
  ["getInboxMessageForId", ["a"], shaped, []],
  ["getInboxMessageForId", ["d"], undefined, []],
  ["deleteInboxMessage", ["b"], undefined, ["change a c"]],
  ["deleteInboxMessage", ["d"], undefined, []],
  ["markReadInboxMessage", ["c"], undefined, ["change a b+ c+"]],
  ["markReadInboxMessagesForIds", [["a", "c", "d"]], undefined, ["change a+ b+ c+"]],
  ["markReadInboxMessagesForIds", ["a"], undefined, ["change a b+ c"]],
  ["markReadAllInboxMessage", [], undefined, ["change a+ b+ c+"]],
  ["toggleInbox", [{}], undefined, ["toggle"]],
];

for (const [name, args, want, changes] of rows) {
  test(`inbox: ${name} ${JSON.stringify(args)}`, () => {
    const { api, did } = inbox();
    assert.deepEqual([api[name]!(...args), did], [want, changes]);
  });
}

test("inbox: getAllInboxMessages, getUnreadInboxMessages", () => {
  const { api } = inbox();
  const all = api.getAllInboxMessages!() as Record<string, unknown>;
  assert.deepEqual([Object.keys(all), all.a], [["a", "b", "c"], shaped]);
  assert.deepEqual(Object.keys(api.getUnreadInboxMessages!() as object), ["a", "c"]);
});
