/** Packages (docs/package.md): an archive whose every byte follows from its signed manifest, or none at all. */
import { crc32 } from "node:zlib";

import { type Json, parseBase64url, parseJson, sha256Hex } from "./canonical.js";
import { MailboxError, ReportAbuseError } from "./errors.js";
import { type VerifyKey, findVerifyKey } from "./keys.js";
import type { Package } from "./mailbox.types.js";
import {
  type Environment,
  type Of,
  digest,
  environment,
  integer,
  list,
  object,
  oneOf,
  text,
  time,
  uuid,
} from "./shapes.js";
import { KINDS, readClaimed, statementShape, verifyStatement } from "./statements.js";

const MANIFEST = "manifest.json";
const MAX_MANIFEST_BYTES = 512 * 1024;
const MOST_FILES = 1000;
const LOCAL_HEADER_BYTES = 30;
const ZIP_VERSION = 20;
const ZIP_DATE = 33; // 1 January 1980
// No device of Windows either, where `nul` or `aux.pdf` is no file.
const NAME =
  /^(?=.{1,100}$)(?!([a-z]+\/)?(con|prn|aux|nul|com[0-9]|lpt[0-9])([./]|$))([a-z]+\/)?[a-z0-9][a-z0-9-]*(\.[a-z0-9]+)?$/;

const manifestShape = object({
  environment,
  files: list(object({ name: text({ pattern: NAME }), sha256: digest, size_bytes: integer() }), MOST_FILES),
  issued_at: time,
  package_id: uuid,
  recipient: text(),
  reference: text(),
  schema_version: oneOf("1"),
});

/** A package whose every byte is proven. `files` holds `page.html`, `page.pdf`, `case.jsonld` and the rest, by name. */
export interface OpenedPackage {
  readonly manifest: Of<typeof manifestShape>;
  readonly files: ReadonlyMap<string, Buffer>;
}

export interface Entry {
  readonly name: string;
  readonly content: Buffer;
}

interface Reader {
  readonly keys: readonly VerifyKey[];
  readonly now: Date;
  readonly recipient: string;
  readonly environment: Environment;
}

/** Check the archive of a message of kind `package`, and return its files; raises `MailboxError`. */
export function openPackage(body: Package, reader: Reader): OpenedPackage {
  try {
    const archive = parseBase64url(body.archive);
    if (sha256Hex(archive) !== body.archive_sha256)
      throw new MailboxError("bad-package", "The archive is not the one that the message names.");
    return readArchive(archive, reader);
  } catch (error) {
    if (error instanceof MailboxError) throw error;
    if (error instanceof ReportAbuseError || error instanceof RangeError)
      throw new MailboxError("bad-package", `This package is refused as a whole. ${error.message}`);
    throw error;
  }
}

function readArchive(archive: Buffer, { keys, now, recipient, environment: where }: Reader): OpenedPackage {
  const refused = new MailboxError(
    "bad-package",
    "This package is refused as a whole: its bytes are not those of its manifest.",
  );
  const start = LOCAL_HEADER_BYTES + MANIFEST.length;
  const size = archive.readUInt32LE(18);
  if (size > MAX_MANIFEST_BYTES) throw refused;
  const signed = archive.subarray(start, start + size);
  const entries: Entry[] = [{ name: MANIFEST, content: signed }];
  if (!archive.subarray(0, start + size).equals(makeLocal(entries[0] as Entry))) throw refused;
  const statement = statementShape(parseJson(signed));
  const claimed = manifestShape(readClaimed(statement) as Json);
  const findKey = findVerifyKey(keys, { signedAt: claimed.issued_at, now });
  const manifest = manifestShape(parseJson(verifyStatement(statement, { kind: KINDS.package, keys: [findKey] })));
  if (manifest.environment !== where)
    throw new MailboxError("wrong-environment", "This package is for the other environment.");
  if (manifest.recipient !== recipient)
    throw new MailboxError("wrong-recipient", "This package was made for another body.");
  let place = start + size;
  for (const { name, sha256, size_bytes: length } of manifest.files) {
    const before = entries.at(-1)?.name ?? "";
    if (name === MANIFEST || (entries.length > 1 && name <= before)) throw refused;
    place += LOCAL_HEADER_BYTES + name.length;
    const content = archive.subarray(place, place + length);
    if (content.length !== length || sha256Hex(content) !== sha256) throw refused;
    entries.push({ name, content });
    place += length;
  }
  // Every header, every byte between files and the end follow from the files (§1): there is one such archive.
  if (!makeArchive(entries).equals(archive)) throw refused;
  return { manifest, files: new Map(entries.slice(1).map(({ name, content }) => [name, content])) };
}

const u16 = (value: number): Buffer => Buffer.of(value & 0xff, value >>> 8);

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

/** The part that local and central headers share: from the flags to the length of the extra field. */
function describe({ name, content }: Entry): Buffer {
  const size = u32(content.length);
  return Buffer.concat([
    u16(0),
    u16(0),
    u16(0),
    u16(ZIP_DATE),
    u32(crc32(content)),
    size,
    size,
    u16(name.length),
    u16(0),
  ]);
}

function makeLocal(entry: Entry): Buffer {
  return Buffer.concat([
    Buffer.from("PK\x03\x04"),
    u16(ZIP_VERSION),
    describe(entry),
    Buffer.from(entry.name),
    entry.content,
  ]);
}

/** Join files to the one archive that they make (§1). */
export function makeArchive(entries: readonly Entry[]): Buffer {
  const locals = entries.map(makeLocal);
  let offset = 0;
  const centrals = entries.map((entry, index) => {
    // Length of the comment, disk, internal and external attributes: all zero.
    const rest = [u16(0), u16(0), u16(0), u32(0), u32(offset), Buffer.from(entry.name)];
    offset += locals[index]?.length ?? 0;
    return Buffer.concat([Buffer.from("PK\x01\x02"), u16(ZIP_VERSION), u16(ZIP_VERSION), describe(entry), ...rest]);
  });
  const directory = Buffer.concat(centrals);
  const count = u16(entries.length);
  const end = [Buffer.from("PK\x05\x06"), u16(0), u16(0), count, count, u32(directory.length), u32(offset), u16(0)];
  return Buffer.concat([...locals, directory, ...end]);
}
