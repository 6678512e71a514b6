/** Enrolment (WIRE.md §8): three new keys, and the one sealed box that answers an invitation. */
import { randomBytes } from "node:crypto";

import { type SealingKey, makePublicKey, seal, sealingKeyIdOf } from "./boxes.js";
import { type Json, canonical, formatTime, parseBase64url, parseJson, sha256, toBase64url } from "./canonical.js";
import { EnrolmentError, FormatError } from "./errors.js";
import type { Folder } from "./folder.js";
import {
  type Environment,
  type Of,
  base64url,
  digest,
  environment,
  nullable,
  object,
  oneOf,
  partnerId,
  text,
  time,
} from "./shapes.js";
import { KINDS, type Signer, makeSigner, makeStatement } from "./statements.js";

const SECRET_BYTES = 32;
const SEED_BYTES = 32;
const invitationShape = object({
  environment,
  expires_at: time,
  name: text(),
  next_root_fingerprint: nullable(digest),
  origin: text(),
  partner: partnerId,
  root_fingerprint: digest,
  secret: base64url(SECRET_BYTES),
  type: oneOf("report-abuse/invitation"),
});
export type Invitation = Of<typeof invitationShape>;

const ROLES = ["submission", "context", "mailbox"] as const;
type Role = (typeof ROLES)[number];
const keyShape = object({
  created_at: time,
  environment,
  key_id: base64url(8),
  public_key: base64url(),
  role: oneOf(...ROLES),
  secret: base64url(SEED_BYTES),
  type: text({ pattern: /^report-abuse\/private-[a-z]+-key$/ }),
});

/** The keys of a partner: two that sign, and the seed that opens its mailbox. */
export interface PartnerKeys {
  readonly submission: Signer;
  readonly context: Signer;
  readonly mailboxSeed: Buffer;
  readonly mailboxPublicKey: Buffer;
}

/** The ids that the agency compares by phone. */
export interface KeyIds {
  readonly submission: string;
  readonly context: string;
  readonly mailbox: string;
}

export function getKeyIds(keys: PartnerKeys): KeyIds {
  return {
    submission: keys.submission.keyId,
    context: keys.context.keyId,
    mailbox: sealingKeyIdOf(keys.mailboxPublicKey),
  };
}

/** Read an invitation as the agency gave it. */
export function parseInvitation(bytes: Uint8Array | string): Invitation {
  try {
    return invitationShape(parseJson(bytes));
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    throw new EnrolmentError("malformed", `This is not an invitation from the agency. ${error.message}`);
  }
}

export const hashSecret = (secret: string): string =>
  toBase64url(sha256("report-abuse invitation v1\0", parseBase64url(secret)));

const fileOf = (role: Role): string => `keys/${role}.key`;

/** Make the keys that the folder lacks: each is on disk before the agency learns of it (§5.1). */
export async function makeKeys(
  folder: Folder,
  { environment: where, now }: { environment: Environment; now: Date },
): Promise<PartnerKeys> {
  for (const role of ROLES) {
    if (folder.find(fileOf(role))) continue;
    const secret = randomBytes(SEED_BYTES);
    const publicKey = role === "mailbox" ? await makePublicKey(secret) : parseBase64url(makeSigner(secret).publicKey);
    const keyId = role === "mailbox" ? sealingKeyIdOf(publicKey) : makeSigner(secret).keyId;
    const file: Of<typeof keyShape> = {
      created_at: formatTime(now),
      environment: where,
      key_id: keyId,
      public_key: toBase64url(publicKey),
      role,
      secret: toBase64url(secret),
      type: `report-abuse/private-${role}-key`,
    };
    folder.put(fileOf(role), canonical(file));
  }
  return readKeys(folder);
}

export async function readKeys(folder: Folder): Promise<PartnerKeys> {
  const read = (role: Role): Buffer => parseBase64url(folder.read(fileOf(role), keyShape).secret);
  const mailboxSeed = read("mailbox");
  const mailboxPublicKey = await makePublicKey(mailboxSeed);
  return {
    submission: makeSigner(read("submission")),
    context: makeSigner(read("context")),
    mailboxSeed,
    mailboxPublicKey,
  };
}

interface EnrolmentSettings {
  readonly invitation: Pick<Invitation, "environment" | "partner" | "secret">;
  readonly keys: PartnerKeys;
  readonly key: SealingKey;
  readonly ekm?: Uint8Array;
}

/** Make the body of `POST /v1/enrol`. An invitation takes one box: save these bytes, and send them again. */
export async function sealEnrolment({
  invitation,
  keys,
  key,
  ekm,
}: EnrolmentSettings): Promise<{ body: string; text: string }> {
  const { environment: where, partner, secret } = invitation;
  const hashed = hashSecret(secret);
  const payload = canonical({
    context_key: keys.context.publicKey,
    environment: where,
    mailbox_key: toBase64url(keys.mailboxPublicKey),
    partner,
    secret_sha256: hashed,
    submission_key: keys.submission.publicKey,
  });
  const statement = makeStatement(payload, { kind: KINDS.enrolment, signers: [keys.submission, keys.context] });
  const sealed = canonical({ keys: statement as unknown as Json, secret });
  const context = {
    environment: where,
    purpose: "enrol",
    sender: partner,
    recipient: "agency",
    id: hashed,
    kind: "enrol",
    priority: "none",
  } as const;
  const envelope = await seal(sealed, { key, context, ...(ekm && { ekm }) });
  return { body: canonical({ envelope: toBase64url(envelope), secret_sha256: hashed }), text: sealed };
}
