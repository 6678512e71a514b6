/** Signed requests (WIRE.md §7): one profile of RFC 9421 with the Content-Digest of RFC 9530. */
import { randomBytes } from "node:crypto";

import { sha256, toBase64url } from "./canonical.js";
import { type Signer, signBytes } from "./statements.js";

const NONCE_BYTES = 24;

export interface RequestToSign {
  readonly method: "GET" | "POST" | "PUT";
  /** The address as it is sent: the gateway's origin, path and query. */
  readonly url: string;
  readonly body?: Uint8Array | string;
  readonly contentType?: string;
}

export const contentDigestOf = (body: Uint8Array | string): string => `sha-256=:${sha256(body).toString("base64")}:`;

/** Return the headers of one try of a request; each try is signed afresh, under a nonce of its own. */
export function signRequest(
  { method, url, body, contentType = "application/json" }: RequestToSign,
  { signer, now, nonce = toBase64url(randomBytes(NONCE_BYTES)) }: { signer: Signer; now: Date; nonce?: string },
): Record<string, string> {
  const covered: [string, string][] = [
    ["@method", method],
    ["@target-uri", url],
  ];
  const headers: Record<string, string> = {};
  if (body !== undefined) {
    headers["Content-Type"] = contentType;
    headers["Content-Digest"] = contentDigestOf(body);
    covered.push(["content-type", contentType], ["content-digest", headers["Content-Digest"]]);
  }
  const names = covered.map(([name]) => `"${name}"`).join(" ");
  const created = Math.floor(now.getTime() / 1000);
  const parameters = `(${names});created=${created};keyid="${signer.keyId}";alg="ed25519";nonce="${nonce}";tag="report-abuse"`;
  // RFC 9421 §2.5: one line a component, and the parameters last.
  const base = [...covered.map(([name, value]) => `"${name}": ${value}`), `"@signature-params": ${parameters}`].join(
    "\n",
  );
  headers["Signature-Input"] = `sig1=${parameters}`;
  headers["Signature"] = `sig1=:${signBytes(base, signer).toString("base64")}:`;
  return headers;
}
