/** A client for online services: report to the agency, keep receipts, read the mailbox. See README.md and WIRE.md. */
export * from "./errors.js";
export { Partner, type Status } from "./partner.js";
export { parseInvitation, type Invitation, type KeyIds } from "./enrolment.js";
export { checkReport, type Priority, type Receipt, type ReportKind } from "./reports.js";
export type { Attempt, Delivery, Progress, ReportSettings } from "./submissions.js";
export type { Surroundings } from "./gateway.js";
export type * from "./report.types.js";
