// A package opens only if every byte of it follows from its signed manifest (docs/package.md).
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";

import { MailboxError } from "report-abuse-partner";

import { canonical, sha256Hex, toBase64url } from "../dist/canonical.js";
import { makeArchive, openPackage } from "../dist/packages.js";
import { KINDS, makeSigner, makeStatement } from "../dist/statements.js";

const signer = makeSigner(randomBytes(32));
const NOW = new Date("2026-11-29T02:00:00Z");
const KEY = {
  key_id: signer.keyId,
  not_before: "2026-11-01T00:00:00Z",
  public_key: signer.publicKey,
  use_until: "2027-11-01T00:00:00Z",
  verify_until: "2028-11-01T00:00:00Z",
};
const FILES = [
  { name: "case.jsonld", content: Buffer.from("{}") },
  { name: "evidence/e1.png", content: randomBytes(300) },
  { name: "page.html", content: Buffer.from("<p>Mild</p>") },
];

function makeManifest(files, changes = {}) {
  const listed = files.map(({ name, content }) => ({ name, sha256: sha256Hex(content), size_bytes: content.length }));
  const facts = {
    environment: "live",
    issued_at: "2026-11-29T01:10:00Z",
    package_id: "019ab9f0-0000-7000-8000-000000000001",
    recipient: "example-police",
    reference: "K7QF-2M9TX-D",
    schema_version: "1",
  };
  const payload = canonical({ ...facts, files: listed, ...changes });
  return {
    name: "manifest.json",
    content: Buffer.from(canonical(makeStatement(payload, { kind: KINDS.package, signers: [signer] }))),
  };
}

function read(archive, changes = {}) {
  const body = { archive: toBase64url(archive), archive_sha256: sha256Hex(archive), title: "A package", urgent: false };
  return openPackage(
    { ...body, ...changes },
    { keys: [KEY], now: NOW, recipient: "example-police", environment: "live" },
  );
}

const good = makeArchive([makeManifest(FILES), ...FILES]);

test("a good package gives its files", () => {
  const { manifest, files } = read(good);
  assert.deepEqual(
    [...files],
    FILES.map(({ name, content }) => [name, content]),
  );
  assert.equal(manifest.reference, "K7QF-2M9TX-D");
});

const [first, second, third] = FILES;
const REFUSED = {
  "a byte behind the end": [Buffer.concat([good, Buffer.of(0)])],
  "a byte cut off": [good.subarray(0, -1)],
  "a changed header": [Buffer.from(good).fill(9, 4, 5)],
  "another archive than the message names": [good, { archive_sha256: "0".repeat(64) }],
  "a file that the manifest lacks": [makeArchive([makeManifest([first, second]), ...FILES])],
  "a file that is not there": [makeArchive([makeManifest(FILES), first, second])],
  "a changed file": [makeArchive([makeManifest(FILES), first, { ...second, content: randomBytes(300) }, third])],
  "files out of order": [makeArchive([makeManifest([second, first, third]), second, first, third])],
  "one name twice": [makeArchive([makeManifest([first, first]), first, first])],
  "a name that leads elsewhere": [
    makeArchive([makeManifest([{ ...first, name: "../a" }]), { ...first, name: "../a" }]),
  ],
  "another body": [makeArchive([makeManifest(FILES, { recipient: "another" }), ...FILES])],
  "the other environment": [makeArchive([makeManifest(FILES, { environment: "sandbox" }), ...FILES])],
  "another version": [makeArchive([makeManifest(FILES, { schema_version: "2" }), ...FILES])],
  "signed before its key was in use": [
    makeArchive([makeManifest(FILES, { issued_at: "2026-10-29T01:10:00Z" }), ...FILES]),
  ],
  "nothing at all": [Buffer.alloc(0)],
};

for (const [name, [archive, changes]] of Object.entries(REFUSED)) {
  test(`a package is refused: ${name}`, () => {
    assert.throws(() => read(archive, changes), MailboxError);
  });
}
