// The vector files of the wire (WIRE.md §12) as the tests read them, each with its number of cases, so that none is lost.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { ReportAbuseError } from "report-abuse-partner";

const FOLDER = new URL("../../vectors/", import.meta.url);

export const readVectors = (name) => JSON.parse(readFileSync(new URL(`${name}.json`, FOLDER), "utf8"));
export const bytes = (text) => Buffer.from(text, "base64url");

/** An opener cannot know why a box does not open; the vectors name the cause (WIRE.md §12). */
export const NAMES_OF_OPENING = { "does-not-open": "wrong-key", "unknown-key": "altered-header" };

/** Return `success`, or the reason of the error that reading ended in. */
export async function resultOf(read, names = {}) {
  try {
    await read();
  } catch (error) {
    if (!(error instanceof ReportAbuseError)) throw error;
    return names[error.reason] ?? error.reason;
  }
  return "success";
}

/** Test each case of a file; `names` are words of the file for reasons of this client, or give them for a case. */
export function testCases(name, count, read, naming = () => ({})) {
  const file = readVectors(name);
  test(`${name}: there are ${count} cases`, () => assert.equal(file.cases.length, count));
  for (const one of file.cases) {
    test(`${name}: ${one.name}`, async () => {
      const { names } = typeof naming === "function" ? naming(one) : naming;
      assert.equal(await resultOf(() => read(one, file), names), one.expect);
    });
  }
}
