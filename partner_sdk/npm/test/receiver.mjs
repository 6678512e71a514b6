// The other side of the wire for tests, written from WIRE.md: it checks a partner's signatures and boxes, as gateway and desk do.
import { createDecipheriv } from "node:crypto";

import { EvidenceError, ReportAbuseError, StatementError } from "report-abuse-partner";

import { open } from "../dist/boxes.js";
import { parseBase64url, sha256, sha256Hex } from "../dist/canonical.js";
import { MAX_TOKEN_CHARACTERS, contextShape } from "../dist/contexts.js";
import { entryShape } from "../dist/entries.js";
import { countSealedBytes, countSegments, digestEvidence, makeEvidenceKey } from "../dist/evidence.js";
import { postShape, submissionShape } from "../dist/reports.js";
import { contentDigestOf } from "../dist/requests.js";
import { object, parseExact, partnerId, text, uuid7 } from "../dist/shapes.js";
import { KINDS, holds, keyIdOf, parseStatement, verifyStatement } from "../dist/statements.js";

const fail = (reason) => {
  throw new ReportAbuseError(reason, `refused: ${reason}`);
};

/** Find a key among some, in base64url. */
export const among = (publicKeys) => (keyId) => publicKeys.find((key) => keyIdOf(parseBase64url(key)) === keyId);

// Signed requests (§7).

const SIGNATURE_INPUT =
  /^sig1=(\("@method" "@target-uri"( "content-type" "content-digest")?\);created=(\d+);keyid="([\w-]+)";alg="ed25519";nonce="[\w-]{16,64}";tag="report-abuse")$/;

export function checkRequest({ headers, method, targetUri, body, publicKey, now }) {
  const given = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
  const [, parameters, coversBody, created, keyId] =
    SIGNATURE_INPUT.exec(given["signature-input"] ?? "") ?? fail("bad-signature-headers");
  const [, signature] = /^sig1=:([A-Za-z0-9+/]{86}==):$/.exec(given.signature ?? "") ?? fail("bad-signature-headers");
  if (Boolean(coversBody) !== (body !== undefined)) fail("body-not-covered");
  const { "content-type": type, "content-digest": digest } = given;
  if (coversBody && type !== "application/json" && type !== "application/octet-stream") fail("bad-signature-headers");
  const lines = [`"@method": ${method}`, `"@target-uri": ${targetUri}`];
  if (coversBody) lines.push(`"content-type": ${type}`, `"content-digest": ${digest}`);
  lines.push(`"@signature-params": ${parameters}`);
  const isKnown = keyId === keyIdOf(parseBase64url(publicKey));
  if (!isKnown || !holds(Buffer.from(lines.join("\n")), Buffer.from(signature, "base64"), publicKey))
    fail("bad-signature");
  if (now - created > 300 || created - now > 60) fail("stale");
  if (coversBody && digest !== contentDigestOf(body)) fail("wrong-digest");
}

// Submissions (§6.1).

export function takeReport(body, { partner, environment, publicKeys }) {
  const { envelope, statement } = postShape(body);
  let payload;
  try {
    payload = parseExact(
      verifyStatement(statement, { kind: KINDS.submission, keys: [among(publicKeys)] }),
      submissionShape,
    );
  } catch (error) {
    throw error instanceof StatementError ? new ReportAbuseError("statement-refused", error.message) : error;
  }
  if (payload.partner !== partner || payload.environment !== environment) fail("statement-refused");
  if (payload.envelope_sha256 !== sha256Hex(parseBase64url(envelope))) fail("envelope-mismatch");
  return payload;
}

// Entries of threads (§9.6).

export async function readEntry({ envelope, statement }, { environment, partner, id, seed, publicKeys }) {
  const context = {
    environment,
    purpose: "thread",
    sender: partner,
    recipient: "agency",
    id,
    kind: "entry",
    priority: "none",
  };
  const signed = envelope === undefined ? statement : await open(parseBase64url(envelope), { seed, context });
  const payload = verifyStatement(parseStatement(signed), { kind: KINDS.threadEntry, keys: [among(publicKeys)] });
  const entry = parseExact(payload, entryShape);
  if (entry.partner !== partner || entry.environment !== environment) fail("wrong-sender");
  if (entry.entry_id !== id) fail("wrong-entry");
  return entry;
}

export const entryPostShape = object({ entry_id: uuid7, envelope: text() });

// Contexts of pages (§8.2).

export async function readContext({ token, statement }, { environment, partner, id, seed, publicKeys }) {
  let signed = statement;
  if (token !== undefined) {
    if (token.length > MAX_TOKEN_CHARACTERS) fail("too-large");
    const [spelling, sender, contextId, box, ...more] = token.split(".");
    if (spelling !== "1" || box === undefined || more.length) fail("malformed");
    const named = {
      environment,
      purpose: "context",
      sender: partnerId(sender),
      recipient: "agency",
      id: uuid7(contextId),
      kind: "page",
      priority: "none",
    };
    signed = await open(parseBase64url(box), { seed, context: named });
  }
  const payload = verifyStatement(parseStatement(signed), { kind: KINDS.pageContext, keys: [among(publicKeys)] });
  const context = parseExact(payload, contextShape);
  if (context.partner !== partner || context.environment !== environment || context.context_id !== id)
    fail("wrong-context");
  return context;
}

// Evidence (§6.6).

const SEALED_SEGMENT_BYTES = 1_048_576;

/** Open sealed bytes and return the plain file, or raise before a byte of it is shown. */
export function openEvidence(sealed, { secret, sha256: hash, sizeBytes, digest }) {
  const partSha256 = [];
  for (let start = 0; start < sealed.length; start += 8 * SEALED_SEGMENT_BYTES)
    partSha256.push(sha256(sealed.subarray(start, start + 8 * SEALED_SEGMENT_BYTES)));
  const refuse = (reason) => {
    throw new EvidenceError(reason, `refused: ${reason}`);
  };
  if (digest !== digestEvidence(partSha256, sealed.length).toString("hex")) refuse("wrong-digest");
  if (sealed.length !== countSealedBytes(sizeBytes)) refuse("wrong-size");
  const key = makeEvidenceKey(secret, Buffer.from(hash, "hex"));
  const last = countSegments(sizeBytes) - 1;
  const plain = [];
  for (let counter = 0; counter <= last; counter += 1) {
    const segment = sealed.subarray(counter * SEALED_SEGMENT_BYTES, (counter + 1) * SEALED_SEGMENT_BYTES);
    const nonce = Buffer.alloc(12);
    nonce.writeUInt32BE(counter, 7);
    nonce[11] = counter === last ? 1 : 0;
    const decipher = createDecipheriv("aes-256-gcm", key, nonce);
    decipher.setAuthTag(segment.subarray(-16));
    plain.push(decipher.update(segment.subarray(0, -16)));
    try {
      decipher.final();
    } catch {
      refuse("does-not-open");
    }
  }
  const whole = Buffer.concat(plain);
  if (whole.subarray(sizeBytes).some((byte) => byte !== 0)) refuse("bad-padding");
  const file = whole.subarray(0, sizeBytes);
  if (sha256Hex(file) !== hash) refuse("wrong-hash");
  return file;
}
