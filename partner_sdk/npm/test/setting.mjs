// A folder for tests, and in it a partner that enrolled at a small agency of its own.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";

import * as client from "report-abuse-partner";

import { readKeys } from "../dist/enrolment.js";
import { Folder } from "../dist/folder.js";
import { Agency } from "./agency.mjs";

export const REPORT = JSON.parse(readFileSync(new URL("../../examples/report.json", import.meta.url)));
export const FILE = {
  copy_kept_until: null,
  exif_viewed_by_staff: false,
  file_id: "file-1",
  relevance: "reported",
  viewed_by_staff: true,
};
export const WITH_FILE = { ...REPORT, files: [FILE] };
export const P2 = { priority: "P2" };
export const root = mkdtempSync(join(tmpdir(), "report-abuse-npm-"));
after(() => rmSync(root, { recursive: true }));
let count = 0;

/** Make an agency, and a partner that it has approved. */
export async function makeParties() {
  const agency = await Agency.make();
  const folder = join(root, String((count += 1)));
  const invitation = agency.invitation();
  const partner = await client.Partner.enrol(folder, invitation, agency.runtime());
  const keys = await readKeys(Folder.at(folder));
  agency.submissionKey = keys.submission.publicKey;
  agency.contextKey = keys.context.publicKey;
  agency.partnerMailbox = { key_id: partner.keyIds.mailbox, public_key: keys.mailboxPublicKey.toString("base64url") };
  agency.calls = [];
  return { agency, partner, folder, invitation, reopen: () => client.Partner.open(folder, agency.runtime()) };
}

export const refuses = (name, reason, work) =>
  assert.rejects(work, (error) => error instanceof client[name] && error.reason === reason);
