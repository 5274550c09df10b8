import assert from "node:assert/strict";
import test from "node:test";
import { type Entry, matching } from "./matching";

const entries: Entry[] = [
  { value: "a", label: "Lumbar epidural, transforaminal", note: "", group: "Epidural", search: "TFESI 64483" },
  { value: "b", label: "Médial branch block, lumbar", note: "", group: "Facet", search: "MBB 64493" },
];
const found = (typed: string) => matching(entries, typed).map((entry) => entry.value);

test("nothing typed shows everything", () => {
  assert.deepEqual(found("  "), ["a", "b"]);
});

test("words match by their beginning, in any order, without accents", () => {
  assert.deepEqual(found("lumb"), ["a", "b"]);
  assert.deepEqual(found("trans lumb"), ["a"]);
  assert.deepEqual(found("medial"), ["b"]);
});

test("short forms, codes and groups are found", () => {
  assert.deepEqual(found("tfesi"), ["a"]);
  assert.deepEqual(found("64493"), ["b"]);
  assert.deepEqual(found("facet"), ["b"]);
});

test("a word that nothing has finds nothing", () => {
  assert.deepEqual(found("lumbar knee"), []);
});
