/** Sealed files (WIRE.md §6.6): segments under one key of the file and its report, joined to parts of 8 MiB. */
import { createCipheriv, createHash, hkdfSync } from "node:crypto";
import { type FileHandle, open } from "node:fs/promises";

import { sha256 } from "./canonical.js";
import { EvidenceError } from "./errors.js";

const SEGMENT_BYTES = 1_048_560;
const TAG_BYTES = 16;
const SEGMENTS_OF_A_PART = 8;
const PLAIN_PART_BYTES = SEGMENT_BYTES * SEGMENTS_OF_A_PART;
const STEP_BYTES = 65_536;
const MAX_FILE_BYTES = 10 * 1024 ** 3;
const CIPHER = "aes-256-gcm";

/** A file as it was read through: its size, its hash, and the hash of the plain bytes of each part. */
export interface FileFacts {
  readonly path: string;
  readonly sizeBytes: number;
  readonly sha256: string;
  readonly partSha256: readonly Buffer[];
}

export function makeEvidenceKey(secret: Uint8Array, fileSha256: Uint8Array): Buffer {
  return Buffer.from(hkdfSync("sha256", secret, fileSha256, "report-abuse evidence key v1", 32));
}

export const countSegments = (sizeBytes: number): number => Math.max(1, Math.ceil(sizeBytes / SEGMENT_BYTES));
export const countParts = (sizeBytes: number): number => Math.ceil(countSegments(sizeBytes) / SEGMENTS_OF_A_PART);

/** The size of a last segment's text: padded in steps, because an exact size would identify a known file. */
function padLast(length: number): number {
  return Math.min(SEGMENT_BYTES, Math.max(STEP_BYTES, Math.ceil(length / STEP_BYTES) * STEP_BYTES));
}

export function countSealedBytes(sizeBytes: number): number {
  const segments = countSegments(sizeBytes);
  return (segments - 1) * (SEGMENT_BYTES + TAG_BYTES) + padLast(sizeBytes - (segments - 1) * SEGMENT_BYTES) + TAG_BYTES;
}

/** The plain bytes of a part end before the next part begins. */
export const placeOfPart = (part: number, sizeBytes: number): { start: number; length: number } => {
  const start = part * PLAIN_PART_BYTES;
  return { start, length: Math.max(0, Math.min(PLAIN_PART_BYTES, sizeBytes - start)) };
};

/** Seal the plain bytes of one part. */
export function sealPart(
  plain: Uint8Array,
  { key, part, sizeBytes }: { key: Uint8Array; part: number; sizeBytes: number },
): Buffer {
  const last = countSegments(sizeBytes) - 1;
  const first = part * SEGMENTS_OF_A_PART;
  const sealed: Buffer[] = [];
  for (let counter = first; counter <= Math.min(last, first + SEGMENTS_OF_A_PART - 1); counter += 1) {
    const start = (counter - first) * SEGMENT_BYTES;
    const text = plain.subarray(start, start + SEGMENT_BYTES);
    const nonce = Buffer.alloc(12);
    nonce.writeUInt32BE(counter, 7);
    nonce.writeUInt8(counter === last ? 1 : 0, 11);
    const cipher = createCipheriv(CIPHER, key, nonce);
    const zeros = counter === last ? Buffer.alloc(padLast(text.length) - text.length) : Buffer.alloc(0);
    sealed.push(cipher.update(text), cipher.update(zeros), cipher.final(), cipher.getAuthTag());
  }
  return Buffer.concat(sealed);
}

/** The digest of a sealed file: of its size, and the SHA-256 of each sealed part in order. */
export function digestEvidence(partSha256: readonly Uint8Array[], sealedBytes: number): Buffer {
  const size = Buffer.alloc(8);
  size.writeBigUInt64BE(BigInt(sealedBytes));
  return sha256("report-abuse evidence v1\0", size, ...partSha256);
}

/** Use a file while it is open; raises `EvidenceError` where it cannot be read. */
export async function withFile<T>(path: string, work: (file: FileHandle) => Promise<T>): Promise<T> {
  let file: FileHandle;
  try {
    file = await open(path, "r");
  } catch (error) {
    throw new EvidenceError(
      "missing",
      `${path} cannot be read (${(error as NodeJS.ErrnoException).code ?? "unknown cause"}).`,
    );
  }
  try {
    return await work(file);
  } finally {
    await file.close();
  }
}

/** Read one part of a file; a shorter one means that the file changed. */
export async function readPart(
  file: FileHandle,
  { start, length }: { start: number; length: number },
): Promise<Buffer> {
  const plain = Buffer.alloc(length);
  for (let done = 0; done < length;) {
    const { bytesRead } = await file.read(plain, done, length - done, start + done);
    if (!bytesRead) throw new EvidenceError("file-changed", "The file was changed while it was read.");
    done += bytesRead;
  }
  return plain;
}

/** Read a file through: its hash is taken before each try (§6.6). */
export function measureFile(path: string): Promise<FileFacts> {
  return withFile(path, async (file) => {
    const found = await file.stat();
    if (!found.isFile()) throw new EvidenceError("no-file", `${path} is not a file.`);
    if (found.size > MAX_FILE_BYTES) throw new EvidenceError("too-large", `${path} is larger than 10 GiB.`);
    const whole = createHash("sha256");
    const partSha256: Buffer[] = [];
    for (let part = 0; part < countParts(found.size); part += 1) {
      const plain = await readPart(file, placeOfPart(part, found.size));
      whole.update(plain);
      partSha256.push(sha256(plain));
    }
    return { path, sizeBytes: found.size, sha256: whole.digest("hex"), partSha256 };
  });
}
