/** Signed statements (WIRE.md §4): DSSE v1 envelopes in canonical JSON, signed with Ed25519. */
import { type KeyObject, createPrivateKey, createPublicKey, sign, verify } from "node:crypto";

import { parseBase64url, parseCanonical, sha256, toBase64url } from "./canonical.js";
import { StatementError } from "./errors.js";
import { type Of, base64url, list, object, text } from "./shapes.js";

/** The kinds that a partner signs or reads. */
export const KINDS = {
  delegation: "application/vnd.report-abuse.delegation.v1+json",
  enrolment: "application/vnd.report-abuse.enrolment.v1+json",
  intake: "application/vnd.report-abuse.intake.v1+json",
  keySet: "application/vnd.report-abuse.key-set.v1+json",
  mailboxMessage: "application/vnd.report-abuse.mailbox-message.v1+json",
  package: "application/vnd.report-abuse.package.v1+json",
  pageContext: "application/vnd.report-abuse.page-context.v1+json",
  rootChange: "application/vnd.report-abuse.root-change.v1+json",
  submission: "application/vnd.report-abuse.submission.v1+json",
  threadEntry: "application/vnd.report-abuse.thread-entry.v1+json",
} as const;

export const statementShape = object({
  payload: base64url(),
  payloadType: text(),
  signatures: list(object({ keyid: base64url(), sig: base64url() })),
});
export type Statement = Of<typeof statementShape>;

const PKCS8_OF_SEED = Buffer.from("302e020100300506032b657004220420", "hex"); // RFC 8410 §7
const KEY_BYTES = 32;
const SIGNATURE_BYTES = 64;

export const keyIdOf = (publicKey: Uint8Array): string => toBase64url(sha256(publicKey).subarray(0, 8));

/** A private Ed25519 key with its public half and its id. */
export interface Signer {
  readonly privateKey: KeyObject;
  readonly publicKey: string;
  readonly keyId: string;
}

/** Return the signer of a 32-byte seed. */
export function makeSigner(seed: Uint8Array): Signer {
  const privateKey = createPrivateKey({ key: Buffer.concat([PKCS8_OF_SEED, seed]), format: "der", type: "pkcs8" });
  const publicKey = createPublicKey(privateKey).export({ format: "jwk" }).x ?? "";
  return { privateKey, publicKey, keyId: keyIdOf(parseBase64url(publicKey)) };
}

export const signBytes = (bytes: Uint8Array | string, signer: Signer): Buffer =>
  sign(null, Buffer.from(bytes as string), signer.privateKey);

/** Return whether a signature holds under a public key in base64url; a key that is none holds nothing. */
export function holds(bytes: Uint8Array, signature: Uint8Array, publicKey: string): boolean {
  if (signature.length !== SIGNATURE_BYTES || parseBase64url(publicKey).length !== KEY_BYTES) return false;
  try {
    return verify(
      null,
      bytes,
      createPublicKey({ key: { crv: "Ed25519", kty: "OKP", x: publicKey }, format: "jwk" }),
      signature,
    );
  } catch {
    return false;
  }
}

function getSignedBytes(type: string, payload: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(`DSSEv1 ${Buffer.byteLength(type)} ${type} ${payload.length} `), payload]);
}

/** Sign a payload, which is canonical JSON, by several keys: each signs the same bytes. */
export function makeStatement(
  payload: string,
  { kind, signers }: { kind: string; signers: readonly Signer[] },
): Statement {
  const bytes = Buffer.from(payload);
  const signed = getSignedBytes(kind, bytes);
  const signatures = signers.map((signer) => ({ keyid: signer.keyId, sig: toBase64url(signBytes(signed, signer)) }));
  return { payload: toBase64url(bytes), payloadType: kind, signatures };
}

export const parseStatement = (bytes: Uint8Array | string): Statement => statementShape(parseCanonical(bytes));

/** A key that may sign, in base64url, under its id. */
export type FindKey = (keyId: string) => string | undefined;

/**
 * Check kind, number of signatures and keys of a statement, and only then return the bytes of its payload.
 *
 * `keys` holds one place for each signature, in their order.
 */
export function verifyStatement(
  statement: Statement,
  { kind, keys }: { kind: string; keys: readonly FindKey[] },
): Buffer {
  if (statement.payloadType !== kind) throw new StatementError("wrong-kind", "This statement is of another kind.");
  if (statement.signatures.length !== keys.length)
    throw new StatementError("wrong-signature-count", "This statement has another number of signatures.");
  const payload = parseBase64url(statement.payload);
  const signed = getSignedBytes(kind, payload);
  statement.signatures.forEach(({ keyid, sig }, place) => {
    const publicKey = keys[place]?.(keyid);
    if (publicKey === undefined)
      throw new StatementError("unknown-key", "No key that is accepted now signed this statement.");
    if (!holds(signed, parseBase64url(sig), publicKey))
      throw new StatementError("bad-signature", "A signature of this statement does not hold.");
  });
  return payload;
}

/** Look at a payload before its signature is checked: e.g. for the key that it claims. Never believe it. */
export const readClaimed = (statement: Statement): unknown => parseCanonical(parseBase64url(statement.payload));
