// The one spelling of JSON, base64url, times, ids and references, and the refusal of every other.
import assert from "node:assert/strict";
import { test } from "node:test";

import { FormatError } from "report-abuse-partner";

import { canonical, makeUuid7, parseBase64url, parseCanonical, parseJson, parseTime } from "../dist/canonical.js";
import { checkReference } from "../dist/reports.js";
import { integer, object, parseExact, text } from "../dist/shapes.js";

const refuses = (reason, work) =>
  assert.throws(work, (error) => error instanceof FormatError && error.reason === reason);

test("canonical JSON is that of RFC 8785", () => {
  const value = {
    "\u20ac": 1,
    "\r": 2,
    "\ufb33": 3,
    1: 4,
    "\u{1f600}": 5,
    "\u0080": 6,
    "\u00f6": [null, true, 'a"\\\u0007\u007f\u2028'],
  };
  assert.equal(
    canonical(value),
    '{"\\r":2,"1":4,"\u0080":6,"\u00f6":[null,true,"a\\"\\\\\\u0007\u007f\u2028"],"\u20ac":1,"\u{1f600}":5,"\ufb33":3}',
  );
  assert.equal(canonical({ b: undefined, a: -0 }), '{"a":0}');
});

test("canonical JSON has no fractions, no numbers beyond 2^53 and no half characters", () => {
  for (const value of [0.5, 2 ** 53, NaN, "\ud83d", { "\ud83d": 1 }]) refuses("malformed", () => canonical(value));
});

test("signed JSON is taken in its one spelling alone", () => {
  assert.deepEqual(parseCanonical('{"a":1,"b":[]}'), { a: 1, b: [] });
  for (const other of [
    '{"b":[],"a":1}',
    '{"a": 1}',
    '{"a":1}\n',
    '{"a":1,"a":1}',
    '{"a":1.0}',
    '"\\u0041"',
    "[-0]",
    "\ufeff1",
  ]) {
    assert.throws(() => parseCanonical(other), FormatError, other);
  }
  for (const broken of ["", "{", "nul", Buffer.from([0x22, 0xff, 0x22])])
    refuses("malformed", () => parseCanonical(broken));
});

test("other JSON may have any spelling, with each name once in its object", () => {
  const spelled = ' {"a": {"b": 1}, "c": [{"b": "{\\"b\\":"}, {"b": "x\\\\"}], "b": 1.0 } ';
  assert.deepEqual(parseJson(spelled), { a: { b: 1 }, c: [{ b: '{"b":' }, { b: "x\\" }], b: 1 });
  refuses("malformed", () => parseJson('{"a": 1, "b": {"c": 1, "c": 2}}'));
  refuses("malformed", () => parseJson('{"a": 1, "\\u0061": 2}'));
});

test("long texts are read, and JSON that is nested without end is refused", () => {
  const long = "x".repeat(16 * 1024 * 1024);
  assert.equal(parseJson(JSON.stringify({ a: long })).a, long);
  refuses("malformed", () => parseCanonical("[".repeat(100_000) + "]".repeat(100_000)));
});

test("base64url has no padding, no other alphabet and no bits left over", () => {
  assert.deepEqual(parseBase64url("AQID_-8"), Buffer.from([1, 2, 3, 255, 239]));
  for (const other of ["AQ==", "AR", "A", "AQ\n", "A+/A", "AQ ID"])
    refuses("not-canonical", () => parseBase64url(other));
});

test("a time is a moment that exists, in UTC and whole seconds", () => {
  assert.equal(parseTime("2026-11-25T08:30:00Z").getTime(), 1795595400000);
  for (const other of [
    "2026-02-31T00:00:00Z",
    "2026-11-25T08:30:00.0Z",
    "2026-11-25T08:30:00+00:00",
    "2026-11-25T24:00:00Z",
    "now",
  ]) {
    refuses("malformed", () => parseTime(other));
  }
});

test("a UUIDv7 begins with the time", () => {
  const made = makeUuid7(new Date("2026-11-25T08:30:00Z"), Buffer.alloc(10, 0xff));
  assert.equal(made, "01a211d3-7340-7fff-bfff-ffffffffffff");
});

test("a reference is checked against slips", () => {
  checkReference("K7QF-2M9TX-D");
  checkReference("TEST-K7QF-2M9TX-D");
  for (const other of ["K7QF-2M9TX-E", "K7FQ-2M9TX-D", "k7qf-2m9tx-d", "K7QF2M9TXD", "TEST-K7QF-2M9TX", ""])
    refuses("bad-reference", () => checkReference(other));
});

test("an object has its fields and no other, and a refusal repeats no value", () => {
  const shape = object({ name: text({ least: 1, most: 2 }) }, { count: integer({ most: 9 }) });
  assert.deepEqual({ ...parseExact('{"name":"\u{1f600}\u{1f600}"}', shape) }, { name: "\u{1f600}\u{1f600}" });
  for (const other of [
    "[]",
    "{}",
    '{"name":"Sam"}',
    '{"Sam":1,"name":"a"}',
    '{"count":10,"name":"a"}',
    '{"count":null,"name":"a"}',
    '{"__proto__":{},"name":"a"}',
  ]) {
    assert.throws(
      () => parseExact(other, shape),
      (error) => error instanceof FormatError && !error.message.includes("Sam"),
      other,
    );
  }
});
