/** A client for online services: report to the agency, keep receipts, read the mailbox. See README.md and WIRE.md. */
export * from "./errors.js";
export { Partner, type Resumed, type Status } from "./partner.js";
export { parseInvitation, type Invitation, type KeyIds } from "./enrolment.js";
export { checkReport, type Priority, type Receipt, type ReportKind } from "./reports.js";
export type { Attempt, Delivery, Progress, ReportSettings } from "./submissions.js";
export type { PageFacts } from "./contexts.js";
export { toRows, type DigestRow } from "./digests.js";
export type { EntryKind, PackageOutcome } from "./entries.js";
export type { EvidenceAttempt, Files, HandedOver } from "./handover.js";
export type { Alarm, BodyOf, Collected, Message, MessageKind } from "./mailbox.js";
export type { OpenedPackage } from "./packages.js";
export type { LogPlace } from "./public_log.js";
export type { EntryAttempt, Line, Thread, ThreadKind, ThreadState, Writing } from "./threads.js";
export type { Runtime } from "./gateway.js";
export type * from "./report.types.js";
export type { Digest, DigestCell, DigestTable, MailboxBodies } from "./mailbox.types.js";
