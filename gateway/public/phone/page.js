// @ts-check
// The form on the person's own phone begins here.

import { startSealer } from "./sealer.js";
import { sendSealed } from "./sending.js";
import { openStore } from "./store.js";
import { openVisit } from "./visit.js";

// Until a rule says otherwise on the phone, it promises what the slowest class of report is promised.
openVisit(document, { openStore, startSealer, sendSealed, getUrgency: () => "other" });
