/** Calls of the gateway (WIRE.md §10): signed, tried again where that is safe, and answered by a value or an error. */
import { setTimeout as wait } from "node:timers/promises";

import { type Json, parseJson } from "./canonical.js";
import {
  ConflictError,
  FormatError,
  NotAuthorisedError,
  type Problem,
  ProblemError,
  RateLimitedError,
  RefusedError,
  ReportAbuseError,
  TransportError,
  UnavailableError,
} from "./errors.js";
import { type RequestToSign, signRequest } from "./requests.js";
import type { Signer } from "./statements.js";

const MAX_TRIES = 5;
const MOST_SECONDS = 120; // of waiting between the tries of one call
const TRY_MILLISECONDS = 60_000;
const MAX_ANSWER_BYTES = 1024 * 1024;

export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/** The clock and the network of a call; a program may give its own, e.g. a `fetch` that knows its proxy. */
export interface Runtime {
  readonly fetch: Fetch;
  readonly clock: () => Date;
  readonly sleep: (seconds: number) => Promise<unknown>;
}

export const RUNTIME: Runtime = {
  fetch: (url, init) => fetch(url, init),
  clock: () => new Date(),
  sleep: (seconds) => wait(seconds * 1000),
};

export interface Call {
  readonly method: RequestToSign["method"];
  /** Path and query; ids in it are checked before. */
  readonly path: string;
  readonly body?: Uint8Array | string;
  readonly contentType?: string;
  /** Signs each try afresh; without it the call is not signed. */
  readonly signer?: Signer;
  readonly mostBytes?: number;
}

export interface Answer {
  readonly status: number;
  readonly bytes: Buffer;
  /** Seconds before the same is asked again, if the gateway names them. */
  readonly retryAfterSeconds: number | null;
}

/** The gateway of one origin. */
export class Gateway {
  readonly #runtime: Runtime;
  readonly origin: string;

  constructor(origin: string, runtime: Runtime) {
    const { protocol, hostname, origin: spelled } = parseUrl(origin);
    const isThisMachine = hostname === "localhost" || hostname === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(hostname);
    if (protocol !== "https:" && !isThisMachine)
      throw new FormatError("not-https", "The gateway's address must begin with https://.");
    this.origin = spelled;
    this.#runtime = runtime;
  }

  /** Call until there is an answer: 429, 5xx and no answer are tried again. Raises `ProblemError` or `TransportError`. */
  async call(call: Call): Promise<Answer> {
    let waited = 0;
    for (let tries = 1; ; tries += 1) {
      try {
        return await this.#callOnce(call);
      } catch (error) {
        const asked =
          error instanceof RateLimitedError || error instanceof UnavailableError ? error.retryAfterSeconds : null;
        if (!isRetried(error) || tries === MAX_TRIES) throw error;
        const seconds = asked ?? 2 ** (tries - 1) * (0.5 + Math.random() / 2);
        waited += seconds;
        if (waited > MOST_SECONDS) throw error;
        await this.#runtime.sleep(seconds);
      }
    }
  }

  async callJson(call: Call): Promise<Json> {
    const { bytes } = await this.call(call);
    return parseJson(bytes);
  }

  async #callOnce({
    method,
    path,
    body,
    contentType = "application/json",
    signer,
    mostBytes = MAX_ANSWER_BYTES,
  }: Call): Promise<Answer> {
    const url = this.origin + path;
    const unsigned: Record<string, string> = body === undefined ? {} : { "Content-Type": contentType };
    const request = { method, url, contentType, ...(body !== undefined && { body }) };
    const headers = signer ? signRequest(request, { signer, now: this.#runtime.clock() }) : unsigned;
    const signal = AbortSignal.timeout(TRY_MILLISECONDS);
    let response: Response;
    let bytes: Buffer;
    try {
      // A redirect would take the signature, and perhaps the body, to another place (§7).
      response = await this.#runtime.fetch(url, {
        method,
        headers,
        redirect: "error",
        signal,
        ...(body !== undefined && { body: body as Exclude<RequestInit["body"], undefined> }),
      });
      bytes = await readAtMost(response, mostBytes);
    } catch (error) {
      if (error instanceof ReportAbuseError) throw error;
      throw new TransportError(
        "no-answer",
        `The gateway did not answer (${nameCause(error)}). It is safe to send the same again.`,
      );
    }
    if (response.ok) return { status: response.status, bytes, retryAfterSeconds: readRetryAfter(response) };
    throw readProblem(response, bytes);
  }
}

/** Whether the same call may be made again later, with nothing changed. */
export const isRetried = (error: unknown): boolean =>
  error instanceof TransportError || error instanceof RateLimitedError || error instanceof UnavailableError;

function parseUrl(origin: string): URL {
  try {
    return new URL(origin);
  } catch {
    throw new FormatError("malformed", "The gateway's address is no URL.");
  }
}

function nameCause(error: unknown): string {
  const { cause, name } = error as { cause?: { code?: string }; name?: string };
  return cause?.code ?? name ?? "unknown cause";
}

async function readAtMost(response: Response, most: number): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of response.body ?? []) {
    size += piece.length;
    if (size > most) throw new FormatError("too-large", "The gateway's answer is too large.");
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

function readRetryAfter(response: Response): number | null {
  const seconds = Number(response.headers.get("Retry-After") ?? NaN);
  return Number.isFinite(seconds) && seconds >= 0 ? seconds : null;
}

/** Return the error of a problem, by its status. */
function makeProblemError(problem: Problem): ProblemError {
  if (problem.status === 401) return new NotAuthorisedError(problem);
  if (problem.status === 409) return new ConflictError(problem);
  if (problem.status === 429) return new RateLimitedError(problem);
  if (problem.status >= 500) return new UnavailableError(problem);
  return new RefusedError(problem);
}

const readText = (value: unknown): string => (typeof value === "string" ? value : "");

/** Return the error of an answer that is none: a problem (RFC 9457), or the page of a proxy in its place. */
function readProblem(response: Response, bytes: Buffer): ProblemError {
  let members: { readonly [name: string]: unknown } = {};
  try {
    const value = parseJson(bytes);
    if (value !== null && typeof value === "object" && !Array.isArray(value)) members = value as typeof members;
  } catch {
    // Not the gateway's own words; the status alone counts.
  }
  const errors = Array.isArray(members["errors"])
    ? (members["errors"] as { pointer?: unknown; detail?: unknown }[])
    : [];
  return makeProblemError({
    type: readText(members["type"]) || "about:blank",
    title: readText(members["title"]) || `HTTP ${response.status}`,
    status: response.status,
    detail: readText(members["detail"]),
    requestId: readText(members["instance"]).replace(/^urn:uuid:/, "") || null,
    faults: errors.map((fault) => ({ pointer: readText(fault?.pointer), detail: readText(fault?.detail) })),
    retryAfterSeconds: readRetryAfter(response),
  });
}
