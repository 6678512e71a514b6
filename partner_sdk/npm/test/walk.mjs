// A partner's whole way through a gateway that runs, with a desk behind it: node walk.mjs INVITATION FOLDER REPORT
// Prints one JSON object of what it saw. tests/whole/test_sandbox_over_http.py runs it.
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

import { NotAuthorisedError, Partner } from "report-abuse-partner";

const PATIENCE_MILLISECONDS = 60_000;
const PAUSE_MILLISECONDS = 50;
const [invitation, folder, reportFile] = process.argv.slice(2);
const report = JSON.parse(readFileSync(reportFile, "utf8"));

/** Look until something is there: the desk works once a second. */
async function until(look) {
  const end = Date.now() + PATIENCE_MILLISECONDS;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > end) throw new Error(`This never came: ${look}`);
    await sleep(PAUSE_MILLISECONDS);
  }
}

const enrolled = await Partner.enrol(folder, readFileSync(invitation));
const status = await until(() =>
  enrolled.status().catch((error) => {
    if (!(error instanceof NotAuthorisedError)) throw error;
  }),
);
const partner = await Partner.open(folder);
const delivery = await partner.submit(report, { priority: "P2" });

console.log(
  JSON.stringify({
    partner: status.caller.partner,
    keys: { ...partner.keyIds },
    key: status.caller.key_id,
    reference: delivery.reference,
    receipts: partner.receipts().map((one) => one.reference),
    checked: partner.checkReceipt(delivery.receipt).reference,
    waiting: partner.listWaiting(),
  }),
);
