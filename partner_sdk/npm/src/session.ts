/** One enrolled partner at work: its identity, keys, folder and gateway, and the agency's newest key set. */
import { type SealingKey } from "./boxes.js";
import { type Json, canonical, formatTime, parseCanonical } from "./canonical.js";
import { EnrolmentError, KeySetError } from "./errors.js";
import { type Invitation, type PartnerKeys, hashSecret, makeKeys, readKeys, sealEnrolment } from "./enrolment.js";
import { Folder } from "./folder.js";
import { type Answer, type Call, Gateway, RUNTIME, type Runtime, isRetried } from "./gateway.js";
import { type CheckedKeys, type KeySet, type Pin, checkKeySet, getSealingKey } from "./keys.js";
import {
  type Environment,
  type Of,
  answer,
  base64url,
  digest,
  environment,
  nullable,
  object,
  oneOf,
  partnerId,
  text,
} from "./shapes.js";

const PARTNER = "partner.json";
const KEY_SET = "key-set.json";
const ENROLMENT = "enrolment.json";
const FRESH_MILLISECONDS = 10 * 60 * 1000;

const partnerShape = object({
  environment,
  name: text(),
  next_root_fingerprint: nullable(digest),
  origin: text(),
  partner: partnerId,
  root_fingerprint: digest,
  type: oneOf("report-abuse/npm-partner"),
});
const enrolmentShape = answer({ secret_sha256: base64url(32) });

export class Session {
  readonly folder: Folder;
  readonly keys: PartnerKeys;
  readonly gateway: Gateway;
  readonly runtime: Runtime;
  #known: Of<typeof partnerShape>;
  #checked: CheckedKeys | undefined;
  #fetchedAt = 0;

  private constructor(folder: Folder, known: Of<typeof partnerShape>, keys: PartnerKeys, runtime: Runtime) {
    this.folder = folder;
    this.keys = keys;
    this.runtime = runtime;
    this.gateway = new Gateway(known.origin, runtime);
    this.#known = known;
    this.#checked = this.#readKeySet();
  }

  /** Open the folder of a partner that enrolled. */
  static async open(path: string, runtime: Partial<Runtime> = {}): Promise<Session> {
    const folder = Folder.at(path);
    return new Session(folder, folder.read(PARTNER, partnerShape), await readKeys(folder), { ...RUNTIME, ...runtime });
  }

  /** Answer an invitation. If it is interrupted, call it again: keys and box are made once. */
  static async enrol(path: string, invitation: Invitation, given: Partial<Runtime> = {}): Promise<Session> {
    const runtime = { ...RUNTIME, ...given };
    const folder = Folder.make(path);
    const { secret, expires_at: _, type: __, ...known } = invitation;
    const posted = folder.find(ENROLMENT);
    if (posted && enrolmentShape(parseCanonical(posted)).secret_sha256 !== hashSecret(secret)) {
      throw new EnrolmentError(
        "another-invitation",
        "This folder answered another invitation; a new one asks for new keys, so for a new folder.",
      );
    }
    if (!posted) folder.put(PARTNER, canonical({ ...known, type: "report-abuse/npm-partner" }));
    const keys = await makeKeys(folder, { environment: invitation.environment, now: runtime.clock() });
    const session = new Session(folder, folder.read(PARTNER, partnerShape), keys, runtime);
    await session.refreshKeySet();
    if (!posted) folder.put(ENROLMENT, (await sealEnrolment({ invitation, keys, key: session.getSealingKey() })).body);
    await session.gateway.call({ method: "POST", path: "/v1/enrol", body: folder.get(ENROLMENT) });
    return session;
  }

  get partner(): string {
    return this.#known.partner;
  }

  get environment(): Environment {
    return this.#known.environment;
  }

  get now(): Date {
    return this.runtime.clock();
  }

  /** The newest key set that was checked, also after its expiry: signatures under it stay provable. */
  get keySet(): KeySet {
    if (!this.#checked) throw new KeySetError("missing", "No key set of the agency was ever fetched.");
    return this.#checked.keySet;
  }

  /** Return the agency's key to seal to now, of the key set that lies here. */
  getSealingKey(): SealingKey {
    if (this.#checked && this.keySet.expires_at <= formatTime(this.now))
      throw new KeySetError("expired", "The saved key set has expired, and no newer one could be fetched.");
    return getSealingKey(this.keySet, this.now);
  }

  /** Make a signed call. */
  call(call: Omit<Call, "signer">): Promise<Answer> {
    return this.gateway.call({ ...call, signer: this.keys.submission });
  }

  callJson(call: Omit<Call, "signer">): Promise<Json> {
    return this.gateway.callJson({ ...call, signer: this.keys.submission });
  }

  /** Fetch the agency's key set, and keep it if it is right and not older than the one before. */
  async refreshKeySet(): Promise<KeySet> {
    const { bytes } = await this.gateway.call({ method: "GET", path: "/v1/keys" });
    const before = this.#checked?.seen;
    const checked = checkKeySet(bytes, { pin: this.#known, now: this.now, ...(before && { before }) });
    // The bundle first: under the root before it still proves itself, and the pin may follow later.
    this.folder.put(KEY_SET, bytes);
    if (checked.pin.root_fingerprint !== this.#known.root_fingerprint) this.#savePin(checked.pin);
    this.#checked = checked;
    this.#fetchedAt = this.now.getTime();
    return checked.keySet;
  }

  /** Fetch the key set if the last fetch was ten minutes ago; a gateway that does not answer changes nothing. */
  async refreshIfOld(): Promise<void> {
    if (this.now.getTime() - this.#fetchedAt < FRESH_MILLISECONDS) return;
    await this.refreshKeySet().catch((error: unknown) => {
      if (!isRetried(error)) throw error;
    });
  }

  #savePin({ root_fingerprint, next_root_fingerprint }: Pin): void {
    this.#known = { ...this.#known, root_fingerprint, next_root_fingerprint };
    this.folder.put(PARTNER, canonical(this.#known));
  }

  #readKeySet(): CheckedKeys | undefined {
    const bundle = this.folder.find(KEY_SET);
    return bundle && checkKeySet(bundle, { pin: this.#known, now: this.now, allowExpired: true });
  }
}
