// Nothing of a lower library crosses the border: bytes from outside give a value or an error of this package.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";

import { ReportAbuseError, parseInvitation } from "report-abuse-partner";

import { parseTime } from "../dist/canonical.js";
import { checkKeySet } from "../dist/keys.js";
import { openMessage, parseBody } from "../dist/mailbox.js";
import { openPackage } from "../dist/packages.js";
import { verifyReceipt } from "../dist/reports.js";
import { bytes, readVectors } from "./vectors.mjs";

const ROUNDS = 60;
const keySets = readVectors("key-set");
const mailbox = readVectors("mailbox");
const receipt = bytes(readVectors("public-log").receipt);
const bundle = bytes(keySets.cases[0].bundle);
const now = parseTime(keySets.now);
const { keySet } = checkKeySet(bundle, { pin: keySets.pin, now });
const pack = mailbox.cases.find(({ kind }) => kind === "package").body;
const sent = readVectors("other-client").cases.find(({ submission }) => submission).submission;
const invitation = Buffer.from('{"environment":"live","expires_at":"2026-12-01T00:00:00Z","name":"a","secret":"AA"}');

/** Change some bytes, or cut the end, by chance that is the same in every run. */
function damage(original, round) {
  const chance = createHash("sha256").update(`${round}`).digest();
  const damaged = Buffer.from(original);
  for (let place = 0; place < 1 + (chance[0] & 3); place += 1)
    damaged[chance.readUInt32BE(4 * place) % damaged.length] ^= chance[20 + place] | 1;
  return chance[1] & 1 ? damaged : damaged.subarray(0, chance.readUInt32BE(16) % damaged.length);
}

const reader = {
  environment: mailbox.environment,
  partner: mailbox.partner,
  seed: bytes(mailbox.seed),
  keys: mailbox.mailbox_keys,
  now,
};
const PARSERS = {
  "an invitation": [invitation, (given) => parseInvitation(given)],
  "a key set": [bundle, (given) => checkKeySet(given, { pin: keySets.pin, now })],
  "a receipt": [receipt, (given) => verifyReceipt(given, { body: sent, keySet, now })],
  "a box of the mailbox": [
    bytes(mailbox.cases[0].envelope),
    (given) => openMessage({ envelope: given.toString("base64url"), message_id: mailbox.cases[0].message_id }, reader),
  ],
  "the body of a message": [
    Buffer.from(JSON.stringify(pack)),
    (given) => parseBody({ kind: "package", number: 1, body: given.toString("base64url") }),
  ],
  "a package": [
    bytes(pack.archive),
    (given) =>
      openPackage(
        {
          ...pack,
          archive: given.toString("base64url"),
          archive_sha256: createHash("sha256").update(given).digest("hex"),
        },
        { keys: mailbox.mailbox_keys, now, recipient: "x", environment: "live" },
      ),
  ],
};

for (const [name, [original, parse]] of Object.entries(PARSERS)) {
  test(`${name} that is damaged is refused by an error of this package`, async () => {
    for (let round = 0; round < ROUNDS; round += 1) {
      const error = await Promise.resolve()
        .then(() => parse(damage(original, round)))
        .then(
          () => undefined,
          (caught) => caught,
        );
      assert.ok(error instanceof ReportAbuseError, `round ${round}: ${error?.stack}`);
      assert.match(error.reason, /^[a-z-]+$/);
    }
  });
}
