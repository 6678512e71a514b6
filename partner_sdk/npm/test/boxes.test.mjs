// Boxes, statements and key sets give the result that each vector names.
import assert from "node:assert/strict";
import { test } from "node:test";

import { makePublicKey, open, seal, sealingKeyIdOf } from "../dist/boxes.js";
import { parseBase64url, parseTime, toBase64url } from "../dist/canonical.js";
import { checkKeySet } from "../dist/keys.js";
import { parseExact } from "../dist/shapes.js";
import { submissionShape } from "../dist/reports.js";
import { KINDS, parseStatement, verifyStatement } from "../dist/statements.js";
import { NAMES_OF_OPENING, bytes, readVectors, testCases } from "./vectors.mjs";

testCases(
  "envelope",
  20,
  async (one, file) => {
    const { head, zeros } = one.envelope_repeats ?? {};
    const box = head ? Buffer.concat([bytes(head), Buffer.alloc(zeros)]) : parseBase64url(one.envelope);
    const plain = await open(box, { seed: bytes(file.seed), context: { ...file.context, ...one.context } });
    assert.equal(toBase64url(plain), file.plaintext);
  },
  { names: NAMES_OF_OPENING },
);

testCases("statement", 15, (one, file) => {
  const statement = parseStatement(bytes(one.statement));
  const payload = verifyStatement(statement, { kind: KINDS.submission, keys: [(keyId) => file.keys[keyId]] });
  assert.deepEqual({ ...parseExact(payload, submissionShape) }, file.payload);
});

testCases("key-set", 15, (one, file) => {
  const before = { serial: one.highest_serial ?? 0, ...(one.highest_sha256 && { sha256: one.highest_sha256 }) };
  checkKeySet(bytes(one.bundle), {
    pin: file.pin,
    now: parseTime(one.now ?? file.now),
    before,
    allowExpired: one.allow_expired,
  });
});

test("a box that is sealed here opens, and padding hides its length", async () => {
  const { seed, context } = readVectors("envelope");
  const publicKey = await makePublicKey(bytes(seed));
  const key = { key_id: sealingKeyIdOf(publicKey), public_key: toBase64url(publicKey) };
  const sizes = [];
  for (const length of [0, 4092, 4093, 16_380, 16_381, 99_996]) {
    const box = await seal(Buffer.alloc(length, 7), { key, context });
    assert.deepEqual(await open(box, { seed: bytes(seed), context }), Buffer.alloc(length, 7));
    sizes.push(box.length - 1151);
  }
  assert.deepEqual(sizes, [4096, 4096, 8192, 16_384, 17_408, 100_352]);
});
