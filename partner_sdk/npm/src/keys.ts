/** The agency's keys (WIRE.md §5): a bundle is checked against the pinned root, and is never older than one seen before. */
import { formatTime, parseBase64url, parseCanonical, sha256Hex } from "./canonical.js";
import { FormatError, KeySetError, SealingError, StatementError } from "./errors.js";
import { PUBLIC_KEY_BYTES, type SealingKey, sealingKeyIdOf } from "./boxes.js";
import {
  type Of,
  base64url,
  digest,
  environment,
  integer,
  list,
  nullable,
  object,
  oneOf,
  parseExact,
  time,
} from "./shapes.js";
import { KINDS, type FindKey, keyIdOf, readClaimed, statementShape, verifyStatement } from "./statements.js";

const KEY_BYTES = 32;
const bundleShape = object({
  delegation: statementShape,
  key_set: statementShape,
  root_change: nullable(statementShape),
});
const delegationShape = object({
  environment,
  key_set_key: base64url(KEY_BYTES),
  not_after: time,
  not_before: time,
  root_key: base64url(KEY_BYTES),
});
const rootChangeShape = object({
  changed_at: time,
  environment,
  new_root_key: base64url(KEY_BYTES),
  next_root_fingerprint: nullable(digest),
  old_root_key: base64url(KEY_BYTES),
});
const verifyKeyShape = object({
  key_id: base64url(8),
  not_before: time,
  public_key: base64url(KEY_BYTES),
  use_until: time,
  verify_until: time,
});
const keySetShape = object(
  {
    environment,
    expires_at: time,
    issued_at: time,
    mailbox_keys: list(verifyKeyShape),
    receipt_keys: list(verifyKeyShape),
    register_keys: list(verifyKeyShape),
    sealing_keys: list(
      object({
        key_id: base64url(8),
        not_before: time,
        open_until: time,
        public_key: base64url(PUBLIC_KEY_BYTES),
        seal_until: time,
        state: oneOf("pending", "active", "retired", "destroyed"),
        suite: oneOf("MLKEM768-X25519-HKDF-SHA256-AES-256-GCM"),
      }),
    ),
    serial: integer({ least: 1 }),
  },
  { log_keys: list(verifyKeyShape) },
);
export type KeySet = Of<typeof keySetShape>;
export type VerifyKey = Of<typeof verifyKeyShape>;

/** The roots that a partner believes, from its invitation or from a change of root since. */
export interface Pin {
  readonly environment: "live" | "sandbox";
  readonly root_fingerprint: string;
  readonly next_root_fingerprint: string | null;
}

/** The newest key set that was accepted before; nothing older is taken. */
export interface SeenKeySet {
  readonly serial: number;
  readonly sha256?: string;
  readonly delegatedFrom?: string;
}

export interface CheckedKeys {
  readonly keySet: KeySet;
  readonly pin: Pin;
  readonly seen: SeenKeySet;
}

const only =
  (publicKey: string): FindKey =>
  (keyId) =>
    keyId === keyIdOf(parseBase64url(publicKey)) ? publicKey : undefined;
const fingerprintOf = (publicKey: string): string => sha256Hex(parseBase64url(publicKey));

/** Follow a change from the pinned root to the next one (§5.3). */
function followRoot(rootKey: string, rootChange: Of<typeof bundleShape>["root_change"], pin: Pin): Pin {
  if (fingerprintOf(rootKey) === pin.root_fingerprint) return pin;
  if (!rootChange || fingerprintOf(rootKey) !== pin.next_root_fingerprint)
    throw new KeySetError("wrong-root", "This key set is not signed under the pinned root.");
  const oldKey = rootChangeShape(readClaimed(rootChange) as never).old_root_key;
  const payload = verifyStatement(rootChange, { kind: KINDS.rootChange, keys: [only(oldKey), only(rootKey)] });
  const change = parseExact(payload, rootChangeShape);
  if (fingerprintOf(oldKey) !== pin.root_fingerprint || change.new_root_key !== rootKey)
    throw new KeySetError("wrong-root", "The change of root does not lead from the pinned root to this one.");
  checkEnvironment(change.environment, pin);
  return { ...pin, root_fingerprint: fingerprintOf(rootKey), next_root_fingerprint: change.next_root_fingerprint };
}

function checkEnvironment(found: string, pin: Pin): void {
  if (found !== pin.environment)
    throw new KeySetError(
      "wrong-environment",
      `This key set is for ${found}, and this partner is enrolled in ${pin.environment}.`,
    );
}

/** Each id is that of its key, and a key has one role. */
function checkRoles(keySet: KeySet, others: readonly string[]): void {
  const verifyKeys = [
    ...keySet.mailbox_keys,
    ...keySet.receipt_keys,
    ...keySet.register_keys,
    ...(keySet.log_keys ?? []),
  ];
  const publicKeys = [
    ...others,
    ...verifyKeys.map((key) => key.public_key),
    ...keySet.sealing_keys.map((key) => key.public_key),
  ];
  const isNamedRight =
    verifyKeys.every((key) => key.key_id === keyIdOf(parseBase64url(key.public_key))) &&
    keySet.sealing_keys.every((key) => key.key_id === sealingKeyIdOf(parseBase64url(key.public_key)));
  const isInOrder = verifyKeys.every((key) => key.not_before < key.use_until && key.use_until <= key.verify_until);
  if (!isNamedRight || !isInOrder || new Set(publicKeys).size !== publicKeys.length)
    throw new KeySetError("bad-key", "A key of this key set has a wrong id, times out of order, or two roles.");
}

function checkAge(seen: SeenKeySet, before: SeenKeySet): void {
  const [from, fromBefore] = [seen.delegatedFrom ?? "", before.delegatedFrom ?? seen.delegatedFrom ?? ""];
  if (from < fromBefore)
    throw new KeySetError("stale-delegation", "This key set is signed by a key that was replaced.");
  if (from > fromBefore) return;
  if (seen.serial < before.serial)
    throw new KeySetError("stale-serial", "This key set is older than one that was seen.");
  if (seen.serial === before.serial && before.sha256 !== undefined && seen.sha256 !== before.sha256)
    throw new KeySetError("forked-serial", "Two key sets have one serial. Tell the agency.");
}

interface Checks {
  readonly pin: Pin;
  readonly now: Date;
  readonly before?: SeenKeySet;
  /** Reading a key set that was checked when it was new, e.g. to verify an old receipt. */
  readonly allowExpired?: boolean;
}

/** Check the bundle of `GET /v1/keys` and return its key set, with the roots to pin from now on. */
export function checkKeySet(
  bundle: Uint8Array | string,
  { pin, now, before = { serial: 0 }, allowExpired = false }: Checks,
): CheckedKeys {
  try {
    const { delegation, key_set: statement, root_change: rootChange } = bundleShape(parseCanonical(bundle));
    const { root_key: rootKey } = delegationShape(readClaimed(delegation) as never);
    const newPin = followRoot(rootKey, rootChange, pin);
    const delegated = parseExact(
      verifyStatement(delegation, { kind: KINDS.delegation, keys: [only(rootKey)] }),
      delegationShape,
    );
    const payload = verifyStatement(statement, { kind: KINDS.keySet, keys: [only(delegated.key_set_key)] });
    const keySet = parseExact(payload, keySetShape);
    checkEnvironment(delegated.environment, pin);
    checkEnvironment(keySet.environment, pin);
    checkRoles(keySet, [delegated.root_key, delegated.key_set_key]);
    const at = formatTime(now);
    const isOfNow = delegated.not_before <= at && at < delegated.not_after && at < keySet.expires_at;
    if (!allowExpired && !isOfNow)
      throw new KeySetError("expired", "This key set is not of this time. Is the clock of this machine right?");
    const seen = { serial: keySet.serial, sha256: sha256Hex(bundle), delegatedFrom: delegated.not_before };
    checkAge(seen, before);
    return { keySet, pin: newPin, seen };
  } catch (error) {
    if (error instanceof FormatError)
      throw new KeySetError("malformed", "The agency's key set is not spelled as WIRE.md says.");
    if (error instanceof StatementError) {
      // In this chain a key is named by its place: under another key the signature does not hold.
      const isUnsigned = error.reason === "bad-signature" || error.reason === "unknown-key";
      throw new KeySetError(isUnsigned ? "bad-signature" : "malformed", error.message);
    }
    throw error;
  }
}

/** Return the key to seal to: the newest that is active now. */
export function getSealingKey(keySet: KeySet, now: Date): SealingKey {
  const at = formatTime(now);
  const usable = keySet.sealing_keys.filter(
    (key) => key.state === "active" && key.not_before <= at && at < key.seal_until,
  );
  const [newest] = usable.sort((one, other) => (one.not_before < other.not_before ? 1 : -1));
  if (!newest) throw new SealingError("no-active-key", "The agency has no key to seal to now.");
  return newest;
}

/** Find keys that were in use when something was signed, and are still believed now (§5.4). */
export function findVerifyKey(keys: readonly VerifyKey[], { signedAt, now }: { signedAt: string; now: Date }): FindKey {
  const at = formatTime(now);
  return (keyId) =>
    keys.find(
      (key) => key.key_id === keyId && key.not_before <= signedAt && signedAt < key.use_until && at < key.verify_until,
    )?.public_key;
}
