// A small agency for tests, behind a `fetch` of its own: keys, receipts, evidence and a mailbox, and faults on demand.
import { randomBytes } from "node:crypto";

import { makePublicKey, open, seal, sealingKeyIdOf } from "../dist/boxes.js";
import { canonical, formatTime, makeUuid7, parseBase64url, sha256Hex, toBase64url } from "../dist/canonical.js";
import { KINDS, makeSigner, makeStatement } from "../dist/statements.js";
import { checkRequest, openEvidence, takeReport } from "./receiver.mjs";

export const ORIGIN = "https://report.example";
const DAY = 24 * 60 * 60 * 1000;
const REFERENCES = ["TEST-K7QF-2M9TX-D"];

export class Agency {
  now = new Date("2026-11-25T08:30:00Z");
  /** The faults that the next calls meet: "lost", "unreachable", or an answer. */
  faults = [];
  calls = [];
  slept = [];
  reports = new Map();
  parts = new Map();
  complete = new Map();
  messages = [];
  acknowledged = [];
  entries = [];
  serial = 1;
  delegatedFrom = "2026-11-01T00:00:00Z";
  number = 0;
  previous = "0".repeat(64);
  root = makeSigner(randomBytes(32));
  keySetKey = makeSigner(randomBytes(32));
  receiptKey = makeSigner(randomBytes(32));
  mailboxKey = makeSigner(randomBytes(32));
  partner = "example-chat";

  static async make() {
    const agency = new Agency();
    await agency.renewSealingKey();
    return agency;
  }

  async renewSealingKey() {
    this.seed = randomBytes(32);
    const publicKey = await makePublicKey(this.seed);
    this.sealingKey = { key_id: sealingKeyIdOf(publicKey), public_key: toBase64url(publicKey) };
    this.serial += 1;
  }

  runtime() {
    return {
      clock: () => this.now,
      fetch: (url, request) => this.answer(url, request),
      sleep: async (seconds) => {
        this.slept.push(seconds);
      },
    };
  }

  invitation(changes = {}) {
    return canonical({
      environment: "sandbox",
      expires_at: this.at(14),
      name: "Example Chat",
      next_root_fingerprint: null,
      origin: ORIGIN,
      partner: this.partner,
      root_fingerprint: sha256Hex(parseBase64url(this.root.publicKey)),
      secret: toBase64url(randomBytes(32)),
      type: "report-abuse/invitation",
      ...changes,
    });
  }

  at(days) {
    return formatTime(new Date(this.now.getTime() + days * DAY));
  }

  /** Replace the root by the next one, whose fingerprint the invitation named. */
  changeRoot(next, afterNext) {
    const change = {
      changed_at: formatTime(this.now),
      environment: "sandbox",
      new_root_key: next.publicKey,
      next_root_fingerprint: afterNext && sha256Hex(parseBase64url(afterNext.publicKey)),
      old_root_key: this.root.publicKey,
    };
    this.rootChange = makeStatement(canonical(change), { kind: KINDS.rootChange, signers: [this.root, next] });
    this.root = next;
    this.serial += 1;
  }

  bundle(changes = this.keySetChanges) {
    const verifyKey = (signer) => ({
      key_id: signer.keyId,
      not_before: "2026-11-01T00:00:00Z",
      public_key: signer.publicKey,
      use_until: "2027-11-01T00:00:00Z",
      verify_until: "2033-11-01T00:00:00Z",
    });
    const delegation = {
      environment: "sandbox",
      key_set_key: this.keySetKey.publicKey,
      not_after: "2028-01-01T00:00:00Z",
      not_before: this.delegatedFrom,
      root_key: this.root.publicKey,
    };
    const sealing = {
      ...this.sealingKey,
      not_before: "2026-11-01T00:00:00Z",
      open_until: "2028-01-01T00:00:00Z",
      seal_until: "2027-11-01T00:00:00Z",
      state: "active",
      suite: "MLKEM768-X25519-HKDF-SHA256-AES-256-GCM",
    };
    const keySet = {
      environment: "sandbox",
      expires_at: "2027-02-23T00:00:00Z",
      issued_at: "2026-11-01T00:00:00Z",
      mailbox_keys: [verifyKey(this.mailboxKey)],
      receipt_keys: [verifyKey(this.receiptKey)],
      register_keys: [],
      sealing_keys: [sealing],
      serial: this.serial,
      ...changes,
    };
    return canonical({
      delegation: makeStatement(canonical(delegation), { kind: KINDS.delegation, signers: [this.root] }),
      key_set: makeStatement(canonical(keySet), { kind: KINDS.keySet, signers: [this.keySetKey] }),
      root_change: this.rootChange ?? null,
    });
  }

  async answer(url, request) {
    const path = url.slice(ORIGIN.length);
    const { method, headers, body } = request;
    this.calls.push({ method, path, headers, body });
    await this.onCall?.(method, path);
    if (request.redirect !== "error") throw new Error("a redirect would be followed");
    const fault = this.faults.shift();
    if (fault === "unreachable") throw new TypeError("fetch failed", { cause: { code: "ECONNREFUSED" } });
    if (fault && fault !== "lost") return fault;
    if (path !== "/v1/keys" && path !== "/v1/enrol") {
      checkRequest({
        headers,
        method,
        targetUri: url,
        body,
        publicKey: this.submissionKey,
        now: Math.floor(this.now.getTime() / 1000),
      });
    }
    const answer = this.route(method, path, body);
    if (fault === "lost") throw new TypeError("fetch failed", { cause: { code: "ECONNRESET" } });
    return answer;
  }

  route(method, path, body) {
    const [, , room, id, part] = path.split("?")[0].split("/");
    if (path === "/v1/keys") return json(200, this.bundle());
    if (path === "/v1/enrol") return json(202, { status: "waiting" });
    if (path === "/v1/reports") return this.takeReport(JSON.parse(body));
    if (path.startsWith("/v1/mailbox") && !id) return json(200, { messages: this.messages.slice(0, 50) });
    if (room === "mailbox" && part === "ack") {
      this.acknowledged.push(id);
      this.messages = this.messages.filter((one) => one.message_id !== id);
      return json(200, {});
    }
    if (room === "mailbox" && part === "entries") {
      this.entries.push(JSON.parse(body));
      return json(202, { status: "waiting" });
    }
    if (room === "evidence" && method === "PUT") {
      this.parts.set(`${id}/${part}`, Buffer.from(body));
      return json(201, { part: Number(part), sha256: sha256Hex(body) });
    }
    if (room === "evidence" && method === "GET") return this.listParts(id);
    if (room === "evidence" && part === "complete") {
      this.complete.set(id, JSON.parse(body));
      return json(200, { digest: JSON.parse(body).digest });
    }
    return problem(404, "not-found");
  }

  listParts(id) {
    const held = [...this.parts].filter(([name]) => name.startsWith(id));
    const parts = held.map(([name, bytes]) => ({ part: Number(name.split("/")[1]), sha256: sha256Hex(bytes) }));
    return held.length ? json(200, { digest: null, parts }) : problem(404, "not-found");
  }

  takeReport(body) {
    const {
      created_at: _,
      envelope_sha256,
      ...clear
    } = takeReport(body, { partner: this.partner, environment: "sandbox", publicKeys: [this.submissionKey] });
    const digest = sha256Hex(canonical(body.statement));
    const held = this.reports.get(clear.report_id);
    if (held) return held.digest === digest ? json(200, held.receipt) : problem(409, "report-conflict");
    const facts = {
      clear,
      door: "industry",
      envelope_sha256,
      environment: "sandbox",
      epoch: "0b5ffe4e-9d0c-4d43-9c11-6d2f2a3a5f01",
      instance: "gateway-1",
      key_set_serial: this.serial,
      placement: null,
      previous: "0".repeat(64),
      received_at: formatTime(this.now),
      reference: REFERENCES[0],
      sequence: 1,
      submission_sha256: digest,
      ...this.receiptChanges,
    };
    const receipt = canonical(
      makeStatement(canonical(facts), { kind: KINDS.intake, signers: [this.receiptSigner ?? this.receiptKey] }),
    );
    this.reports.set(clear.report_id, { digest, receipt, clear, envelope: body.envelope });
    return json(201, receipt);
  }

  /** Open the sealed text of a report as the desk does. */
  async openReport(reportId) {
    const { clear, envelope } = this.reports.get(reportId);
    const context = {
      environment: "sandbox",
      purpose: "report",
      sender: this.partner,
      recipient: "agency",
      id: reportId,
      kind: clear.kind,
      priority: clear.priority,
    };
    return JSON.parse(await open(parseBase64url(envelope), { seed: this.seed, context }));
  }

  /** Open a file that was handed over. */
  openEvidence({ evidence_id: id, secret, sha256, size_bytes: sizeBytes }) {
    const { parts, digest } = this.complete.get(id);
    const sealed = Buffer.concat(Array.from({ length: parts }, (_, part) => this.parts.get(`${id}/${part}`)));
    return openEvidence(sealed, { secret: parseBase64url(secret), sha256, sizeBytes, digest });
  }

  /** Put a message into the mailbox; `changes` are of its signed fields. */
  async write(kind, body, changes = {}) {
    const id = makeUuid7(this.now);
    const text = typeof body === "function" ? body(id) : body;
    const message = {
      body: toBase64url(Buffer.from(canonical(text))),
      environment: "sandbox",
      issued_at: formatTime(this.now),
      kind,
      message_id: id,
      number: (this.number += 1),
      previous: this.previous,
      recipient: this.partner,
      ...changes,
    };
    const signed = canonical(
      makeStatement(canonical(message), { kind: KINDS.mailboxMessage, signers: [this.mailboxKey] }),
    );
    this.previous = sha256Hex(signed);
    const context = {
      environment: "sandbox",
      purpose: "mailbox",
      sender: "agency",
      recipient: this.partner,
      id,
      kind: "message",
      priority: "none",
    };
    this.messages.push({
      envelope: toBase64url(await seal(signed, { key: this.partnerMailbox, context })),
      message_id: id,
    });
    return id;
  }
}

export function json(status, body) {
  return new Response(typeof body === "string" ? body : canonical(body), {
    status,
    headers: { "Content-Type": "application/json" },
  });
}

export function problem(status, slug, headers = {}) {
  const body = {
    type: `${ORIGIN}/problems/${slug}`,
    title: slug,
    status,
    detail: "Because.",
    instance: "urn:uuid:7d5f1d0e-0000-4000-8000-000000000001",
    errors: [{ pointer: "#/a", detail: "Mend it." }],
  };
  return new Response(JSON.stringify(body), {
    status,
    headers: { "Content-Type": "application/problem+json", ...headers },
  });
}
