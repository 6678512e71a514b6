/**
 * The public log (WIRE.md §6.8): an RFC 6962 tree in tlog-tiles. A receipt that the gateway gave must stand in it in time, and the
 * log that is read now must begin with all of the log that was read before.
 */
import { parseBase64url, parseTime, sha256 } from "./canonical.js";
import { LogError } from "./errors.js";
import { holds } from "./statements.js";

const TILE_HASHES = 256;
const TILE_LEVELS = 8;
const HASH_BYTES = 32;
const ENTRY_BYTES = 42; // its length in two bytes, a time of eight, a digest
const MOST_SECONDS = 60;
const ED25519 = 1;

/** A signed size and root of the log. `note` are its bytes, to remember. */
export interface Checkpoint {
  readonly size: number;
  readonly root: Buffer;
  readonly note: string;
}

/** Where a receipt stands: `waits` within the first minute, `pre-log` where the log is younger than the receipt. */
export interface LogPlace {
  readonly state: "in-log" | "waits" | "pre-log";
  readonly index?: number;
}

export type ReadLogFile = (path: string) => Promise<Uint8Array>;

const wrong = (reason: string, text: string): LogError => new LogError(reason, text);
const node = (left: Uint8Array, right: Uint8Array): Buffer => sha256(Buffer.of(1), left, right);

/** Check a checkpoint's signature by one of the log's keys; lines of other signers are ignored. */
export function parseCheckpoint(
  note: string,
  { origin, keys }: { origin: string; keys: readonly string[] },
): Checkpoint {
  const end = note.indexOf("\n\n");
  const [name, size = "", root = ""] = note.slice(0, Math.max(end, 0)).split("\n");
  const bytes = Buffer.from(root, "base64");
  const isSpelled =
    /^(0|[1-9]\d{0,15})$/.test(size) && bytes.length === HASH_BYTES && bytes.toString("base64") === root;
  if (end < 0 || !isSpelled)
    throw wrong("malformed", "The checkpoint of the public log is not spelled as WIRE.md says.");
  if (name !== origin) throw wrong("wrong-origin", "This checkpoint is of another log.");
  const text = Buffer.from(note.slice(0, end + 1));
  let isKnown = false;
  for (const line of note.slice(end + 2).split("\n")) {
    const [, signer, encoded = ""] = /^\u2014 (\S+) (\S+)$/.exec(line) ?? [];
    const signed = Buffer.from(encoded, "base64");
    const key = keys.find((one) =>
      sha256(origin, Buffer.of(0x0a, ED25519), parseBase64url(one)).subarray(0, 4).equals(signed.subarray(0, 4)),
    );
    if (signer !== origin || key === undefined) continue;
    if (holds(text, signed.subarray(4), key)) return { size: Number(size), root: bytes, note };
    isKnown = true;
  }
  throw isKnown
    ? wrong("bad-signature", "The signature of this checkpoint does not hold.")
    : wrong("unknown-key", "No key of the log that is in use signed this checkpoint.");
}

/** The tree of one checkpoint, read from its tiles; every answer is proven by its root. */
export class LogTree {
  readonly #checkpoint: Checkpoint;
  readonly #read: ReadLogFile;
  readonly #files = new Map<string, Promise<Uint8Array>>();

  constructor(checkpoint: Checkpoint, read: ReadLogFile) {
    this.#checkpoint = checkpoint;
    this.#read = read;
  }

  /** Raise `LogError` unless this tree begins with all of an earlier one (RFC 6962 §2.1.2). */
  async checkFollows(before: Checkpoint): Promise<void> {
    const { size, root } = this.#checkpoint;
    if (size < before.size) throw wrong("rolled-back", "The public log is shorter than it was. Tell the agency.");
    if (size === before.size && root.equals(before.root)) return;
    const isWhole = size > before.size && (await this.#join(0, size, before.size)).equals(root);
    if (!isWhole || !(await this.#join(0, before.size, 0)).equals(before.root))
      throw wrong("forked", "The public log shows another history than before. Tell the agency.");
  }

  /** Find the entry of a receipt by its time and prove its place; raises `LogError` where it is missing, late or out of order. */
  async find(
    receipt: Uint8Array,
    { receivedAt, now, before }: { receivedAt: string; now: Date; before: Checkpoint | undefined },
  ): Promise<LogPlace> {
    const { size } = this.#checkpoint;
    const from = parseTime(receivedAt).getTime() / 1000;
    const digest = sha256("report-abuse log entry v1\0", sha256(receipt));
    if (from - now.getTime() / 1000 > MOST_SECONDS) throw wrong("ahead", "A receipt is from the future.");
    if (size && (await this.#entry(0)).time > from) return { state: "pre-log" };
    let [low, high] = [0, size];
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if ((await this.#entry(middle)).time < from) low = middle + 1;
      else high = middle;
    }
    for (let index = low; index < size; index += 1) {
      const entry = await this.#entry(index);
      if (entry.time > from + MOST_SECONDS) break;
      if (!entry.digest.equals(digest)) continue;
      await this.#prove(index);
      const earlier = [index - 1, ...(before && index >= before.size ? [before.size - 1] : [])].filter(
        (place) => place >= 0,
      );
      for (const place of earlier) {
        await this.#prove(place);
        if ((await this.#entry(place)).time > entry.time)
          throw wrong("out-of-order", "Times of the public log go back. Tell the agency.");
      }
      return { state: "in-log", index };
    }
    const newest = size ? (await this.#entry(size - 1)).time : 0;
    if (newest <= from + MOST_SECONDS && now.getTime() / 1000 <= from + 2 * MOST_SECONDS) return { state: "waits" };
    throw wrong("missing", "A receipt does not stand in the public log, or stands there late. Tell the agency.");
  }

  /** Prove that an entry is in the tree (RFC 6962 §2.1.1). */
  async #prove(index: number): Promise<void> {
    const climb = async (low: number, high: number): Promise<Buffer> => {
      if (high - low === 1) return (await this.#entry(index)).leaf;
      const middle = low + split(high - low);
      if (index < middle) return node(await climb(low, middle), await this.#join(middle, high, 0));
      return node(await this.#join(low, middle, 0), await climb(middle, high));
    };
    if (!(await climb(0, this.#checkpoint.size)).equals(this.#checkpoint.root))
      throw wrong("forked", "An entry is not in the tree that the log signed. Tell the agency.");
  }

  /** Return the hash of leaves; at `border` the range is split, so that both sides of it stand for themselves. */
  async #join(low: number, high: number, border: number): Promise<Buffer> {
    const count = high - low;
    if (count === 0) return sha256();
    const level = Math.log2(count);
    if ((border <= low || border >= high) && Number.isInteger(level) && low % count === 0)
      return this.#hash(level, low / count);
    const middle = low + split(count);
    return node(await this.#join(low, middle, border), await this.#join(middle, high, border));
  }

  /** Return the hash of a whole subtree of 2^level leaves. */
  async #hash(level: number, index: number): Promise<Buffer> {
    const tileLevel = Math.floor(level / TILE_LEVELS);
    const width = 2 ** (level % TILE_LEVELS);
    const first = index * width;
    const tile = await this.#tile(
      `tile/${tileLevel}`,
      Math.floor(first / TILE_HASHES),
      Math.floor(this.#checkpoint.size / TILE_HASHES ** tileLevel),
      HASH_BYTES,
    );
    let hashes = Array.from({ length: width }, (_, place) =>
      tile.subarray(((first % TILE_HASHES) + place) * HASH_BYTES).subarray(0, HASH_BYTES),
    );
    while (hashes.length > 1)
      hashes = hashes
        .filter((_, place) => place % 2 === 0)
        .map((left, place) => node(left, hashes[2 * place + 1] as Buffer));
    return hashes[0] as Buffer;
  }

  async #entry(index: number): Promise<{ time: number; digest: Buffer; leaf: Buffer }> {
    const tile = await this.#tile("tile/entries", Math.floor(index / TILE_HASHES), this.#checkpoint.size, ENTRY_BYTES);
    const start = (index % TILE_HASHES) * ENTRY_BYTES;
    const entry = tile.subarray(start + 2, start + ENTRY_BYTES);
    if (tile.readUInt16BE(start) !== entry.length)
      throw wrong("malformed", "An entry of the public log has another length.");
    return { time: Number(entry.readBigUInt64BE()), digest: entry.subarray(8), leaf: sha256(Buffer.of(0), entry) };
  }

  async #tile(kind: string, index: number, count: number, itemBytes: number): Promise<Buffer> {
    const width = Math.min(TILE_HASHES, count - index * TILE_HASHES);
    const groups =
      String(index)
        .padStart(Math.ceil(String(index).length / 3) * 3, "0")
        .match(/\d{3}/g) ?? [];
    const path = `${kind}/${groups.map((group, place) => (place < groups.length - 1 ? `x${group}` : group)).join("/")}${width < TILE_HASHES ? `.p/${width}` : ""}`;
    const file = this.#files.get(path) ?? this.#read(path);
    this.#files.set(path, file);
    const tile = Buffer.from(await file);
    if (tile.length !== width * itemBytes) throw wrong("malformed", "A tile of the public log has another length.");
    return tile;
  }
}

/** The largest power of two that is smaller than a count (RFC 6962 §2.1). */
const split = (count: number): number => 2 ** (Math.ceil(Math.log2(count)) - 1);
