// @ts-check
// The form on the person's own phone begins here.

import { getUrgency } from "./journey.js";
import { startSealer } from "./sealer.js";
import { sendSealed } from "./sending.js";
import { openStore } from "./store.js";
import { openVisit } from "./visit.js";

const loadReturn = (/** @type {string} */ url) => import(url);

openVisit(document, { openStore, startSealer, sendSealed, getUrgency, loadReturn });
