// Messages, entries, requests, files and calls give the result that each vector names; receiver.mjs is the other side.
import assert from "node:assert/strict";
import { createCipheriv, createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";

import { ReportAbuseError } from "report-abuse-partner";

import { parseBase64url, parseTime, toBase64url } from "../dist/canonical.js";
import {
  countParts,
  countSealedBytes,
  digestEvidence,
  makeEvidenceKey,
  placeOfPart,
  sealPart,
} from "../dist/evidence.js";
import { Folder } from "../dist/folder.js";
import { openMessage, parseBody, saveMessage } from "../dist/mailbox.js";
import { base64url, digest, integer, object, uuid7 } from "../dist/shapes.js";
import { checkRequest, entryPostShape, openEvidence, readContext, readEntry, takeReport } from "./receiver.mjs";
import { NAMES_OF_OPENING, bytes, testCases } from "./vectors.mjs";

const folder = mkdtempSync(join(tmpdir(), "report-abuse-npm-"));
const mailbox = Folder.make(join(folder, "partner"));
after(() => rmSync(folder, { recursive: true }));

testCases(
  "mailbox",
  22,
  async ({ envelope, message_id, kind, body }, file) => {
    const reader = {
      environment: file.environment,
      partner: file.partner,
      seed: bytes(file.seed),
      keys: file.mailbox_keys,
      now: parseTime(file.now),
    };
    const message = await openMessage({ envelope, message_id }, reader);
    assert.equal(saveMessage(mailbox, message), true);
    assert.equal(saveMessage(mailbox, message), false, "the same again is kept once");
    const read = parseBody(message);
    assert.deepEqual([read.kind, read.body], [kind, body]);
  },
  { names: { "wrong-key": "altered-header", "does-not-open": "wrong-key" } },
);

// Of a box that does not open, the vectors name the cause; of a statement, `unknown-key` is its signer.
const namesOf = (one) => ({ names: one.statement === undefined ? NAMES_OF_OPENING : {} });

testCases(
  "thread-entry",
  41,
  async (one, { environment, partner, entry_id: id, seed, submission_keys: publicKeys, entry: expected }) => {
    const given = one.statement === undefined ? one : { statement: bytes(one.statement) };
    const entry = await readEntry(given, { environment, partner, id, seed: bytes(seed), publicKeys });
    if (one.statement === undefined) assert.deepEqual({ ...entry }, expected);
  },
  namesOf,
);

testCases(
  "page-context",
  48,
  async (one, { environment, partner, context_id: id, seed, context_keys: publicKeys, facts }) => {
    const token = one.token?.slice(0, -1000) + one.token?.slice(-1000).repeat(one.repeat ?? 1);
    const given = one.statement === undefined ? { token } : { statement: bytes(one.statement) };
    const context = await readContext(given, { environment, partner, id, seed: bytes(seed), publicKeys });
    const expected = one.facts === undefined ? facts : one.facts;
    if (expected) assert.deepEqual(JSON.parse(JSON.stringify(context)), expected);
  },
  namesOf,
);

testCases("request", 21, ({ headers, ...one }, file) => {
  const method = one.method ?? file.method;
  const body = "body" in one ? (one.body ?? undefined) : method === "GET" ? undefined : file.body;
  checkRequest({
    headers,
    method,
    targetUri: one.target_uri ?? file.target_uri,
    body,
    publicKey: file.public_key,
    now: one.now ?? file.now,
  });
});

const SEGMENT_BYTES = 1_048_560;
const SEALED_SEGMENT_BYTES = SEGMENT_BYTES + 16;
const STEP_BYTES = 65_536;

function sealWhole(plain, key) {
  const parts = Array.from({ length: countParts(plain.length) }, (_, part) => {
    const { start, length } = placeOfPart(part, plain.length);
    return sealPart(plain.subarray(start, start + length), { key, part, sizeBytes: plain.length });
  });
  return Buffer.concat(parts);
}

/** Seal a file of two segments with a last one that no sender may make. */
function sealOtherwise(plain, key, { marks_last = true, last_byte = 0, steps_more = 0 }) {
  const text = Buffer.alloc(STEP_BYTES * (1 + steps_more));
  plain.copy(text, 0, SEGMENT_BYTES);
  text[text.length - 1] = last_byte;
  const nonce = Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, marks_last ? 1 : 0]);
  const cipher = createCipheriv("aes-256-gcm", key, nonce);
  const first = sealWhole(plain, key).subarray(0, SEALED_SEGMENT_BYTES);
  return Buffer.concat([first, cipher.update(text), cipher.final(), cipher.getAuthTag()]);
}

function alter(
  sealed,
  { flips_bit_0_of_byte: flipped, swaps_segments: swapped, drops_last_segments: dropped, cuts_last_bytes: cut },
) {
  const segments = [];
  for (let start = 0; start < sealed.length; start += SEALED_SEGMENT_BYTES)
    segments.push(Buffer.from(sealed.subarray(start, start + SEALED_SEGMENT_BYTES)));
  if (swapped) [segments[swapped[0]], segments[swapped[1]]] = [segments[swapped[1]], segments[swapped[0]]];
  const altered = Buffer.concat(dropped ? segments.slice(0, -dropped) : segments);
  if (flipped !== undefined) altered[flipped] ^= 1;
  return cut ? altered.subarray(0, -cut) : altered;
}

testCases("evidence", 26, (one, file) => {
  const plain = createHash("shake256", { outputLength: Math.max(1, one.size_bytes) })
    .update(one.label)
    .digest()
    .subarray(0, one.size_bytes);
  const key = makeEvidenceKey(bytes(file.secret), Buffer.from(one.sha256, "hex"));
  assert.equal(toBase64url(key), one.key);
  const sealed = alter(
    one.sealed_with ? sealOtherwise(plain, key, one.sealed_with) : sealWhole(plain, key),
    one.then ?? {},
  );
  assert.equal(sealed.length, one.sealed_size_bytes);
  if (!one.then && !one.sealed_with) assert.equal(countSealedBytes(one.size_bytes), sealed.length);
  const named = {
    sha256: one.sha256,
    size_bytes: one.size_bytes,
    secret: file.secret,
    digest: one.digest,
    ...one.named,
  };
  const opened = openEvidence(sealed, {
    secret: bytes(named.secret),
    sha256: named.sha256,
    sizeBytes: named.size_bytes,
    digest: named.digest,
  });
  assert.deepEqual(opened, plain);
});

// Bodies of the calls that this client makes; those of the registration and of the adoption are made by others.
const CALLS = {
  post_account: object({ change_id: uuid7, envelope: base64url() }),
  post_adoption: object({ envelope: base64url(), request_id: uuid7 }),
  post_enrol: object({ envelope: base64url(), secret_sha256: base64url(32) }),
  post_evidence_complete: object({ digest, parts: integer({ least: 1 }), size_bytes: integer({ least: 1 }) }),
  post_mailbox_ack: object({}),
  post_mailbox_entry: entryPostShape,
};
const sealedPart = createHash("sha256").update(Buffer.alloc(65_552)).digest();

testCases("calls", 11, ({ operation, body }, { environment, partner, submission_key, cases }) => {
  if (operation === "post_report") return takeReport(body, { partner, environment, publicKeys: [submission_key] });
  const taken = CALLS[operation](body);
  const refuse = (reason) => {
    throw new ReportAbuseError(reason, "refused");
  };
  // The gateway knows the invitation that the first enrolment answers, and no other.
  const [invited] = cases.filter((one) => one.operation === "post_enrol");
  if (operation === "post_enrol" && taken.secret_sha256 !== invited.body.secret_sha256) refuse("unknown-invitation");
  if (operation === "post_evidence_complete" && taken.digest !== digestEvidence([sealedPart], 65_552).toString("hex"))
    refuse("incomplete-evidence");
  return taken;
});
