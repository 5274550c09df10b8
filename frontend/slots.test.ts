import assert from "node:assert/strict";
import test from "node:test";
import { ageWords, atClasses, clockOf, formTime, leftWords, neighbour, snapped } from "./slots";

const hours = [
  { slot: 0, label: "7:00" },
  { slot: 12, label: "8:00" },
  { slot: 24, label: "9:00" },
];

test("a slot has the classes of its hour and its step", () => {
  assert.deepEqual(atClasses(12), ["at-h1"]);
  assert.deepEqual(atClasses(15), ["at-h1", "at-m3"]);
  assert.deepEqual(atClasses(0), ["at-h0"]);
});

test("the clock is read off the labelled hour before the slot", () => {
  assert.equal(clockOf(15, hours), "8:15");
  assert.equal(clockOf(0, hours), "7:00");
  assert.equal(clockOf(35, hours), "9:55");
});

test("the clock follows the labels over a repeated hour", () => {
  const autumn = [
    { slot: 0, label: "1:00" },
    { slot: 12, label: "1:00" },
    { slot: 24, label: "2:00" },
  ];
  assert.equal(clockOf(13, autumn), "1:05");
  assert.equal(clockOf(25, autumn), "2:05");
});

test("a drop lands on the nearest slot and stays inside the lane", () => {
  assert.equal(snapped(99, 8, 6, 132), 12);
  assert.equal(snapped(101, 8, 6, 132), 13);
  assert.equal(snapped(-40, 8, 6, 132), 0);
  assert.equal(snapped(5000, 8, 6, 132), 126);
});

test("a form's time has two digits for the hour", () => {
  assert.equal(formTime("8:15"), "08:15");
  assert.equal(formTime("13:05"), "13:05");
});

const boxes = [
  { left: 0, top: 0, width: 100, height: 40 },
  { left: 0, top: 100, width: 100, height: 40 },
  { left: 150, top: 90, width: 100, height: 40 },
  { left: 300, top: 0, width: 100, height: 40 },
];

test("arrows go to the nearest bar, the next column first", () => {
  assert.equal(neighbour(boxes, 0, "down"), 1);
  assert.equal(neighbour(boxes, 1, "up"), 0);
  assert.equal(neighbour(boxes, 0, "right"), 2);
  assert.equal(neighbour(boxes, 3, "left"), 2);
  assert.equal(neighbour(boxes, 2, "left"), 1);
});

test("arrows stay where there is nothing further", () => {
  assert.equal(neighbour(boxes, 0, "up"), -1);
  assert.equal(neighbour(boxes, 3, "right"), -1);
  assert.equal(neighbour([], 0, "down"), -1);
});

test("age and hold are said in words", () => {
  assert.equal(ageWords(0.4), "updated just now");
  assert.equal(ageWords(7.9), "updated 7 s ago");
  assert.equal(ageWords(130), "updated 2 min ago");
  assert.equal(ageWords(7300), "updated 2 h ago");
  assert.equal(leftWords(581), "9:41");
  assert.equal(leftWords(-3), "0:00");
});
