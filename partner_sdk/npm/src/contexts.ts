/**
 * Contexts of pages (WIRE.md §8.2): a service's own facts about one page that it renders, sealed for the agency alone, behind
 * `#` in the link of the button. Never with words that a person wrote.
 */
import { type SealingKey, seal } from "./boxes.js";
import { canonical, formatTime, makeUuid7, parseTime, toBase64url } from "./canonical.js";
import { FormatError } from "./errors.js";
import {
  type Environment,
  type Of,
  type Shape,
  environment,
  list,
  object,
  oneOf,
  parseExact,
  partnerId,
  text,
  time,
  uuid7,
} from "./shapes.js";
import { KINDS, type Signer, makeStatement } from "./statements.js";

export const MAX_STATEMENT_BYTES = 4092;
export const MAX_TOKEN_CHARACTERS = 7100;
const MOST_SECONDS = 24 * 60 * 60;
const [FIRST_YEAR, LAST_YEAR] = [2000, 9000];
const serviceId = text({ least: 1, most: 120 });
const moment: Shape<string> = (value, place) => {
  const year = parseTime(time(value, place)).getUTCFullYear();
  if (year < FIRST_YEAR || year > LAST_YEAR)
    throw new FormatError("malformed", `No page was shown in the year ${year}.`);
  return value as string;
};
const account = object({ account_id: serviceId }, { display_name: text({ most: 80 }) });
const fields = object(
  {
    context_id: uuid7,
    environment,
    expires_at: moment,
    issued_at: moment,
    partner: partnerId,
    placement: text({ pattern: /^[a-z0-9_-]{1,40}$/ }),
    surface: oneOf("chat", "direct_message", "profile", "game_lobby", "stream", "comments", "help", "other"),
  },
  {
    about: list(account, 5),
    conversation_id: text({ most: 120 }),
    messages: list(object({ message_id: serviceId }, { sent_at: moment }), 20),
    viewer: account,
  },
);
type Context = Of<typeof fields>;

export const contextShape: Shape<Context> = (value, place) => {
  const context = fields(value, place);
  const seconds = (parseTime(context.expires_at).getTime() - parseTime(context.issued_at).getTime()) / 1000;
  if (seconds <= 0 || seconds > MOST_SECONDS)
    throw new FormatError("malformed", "A context of a page lasts at most 24 hours.");
  return context;
};

/** The facts of one page; `placement` is the link id of its button. `viewer` saw the page, `about` are accounts that it shows. */
export type PageFacts = Pick<Context, "placement" | "surface" | "about" | "conversation_id" | "messages" | "viewer"> & {
  /** How long the page may be looked at, 12 hours by default. */
  readonly lifetimeSeconds?: number;
};

interface Settings {
  readonly environment: Environment;
  readonly partner: string;
  readonly key: SealingKey;
  /** The partner's context key. */
  readonly signer: Signer;
  readonly now: Date;
}

/** Seal the facts of a page and return the token that stands behind `#context=` in its link. */
export async function sealContext(
  facts: PageFacts,
  { environment: where, partner, key, signer, now }: Settings,
): Promise<string> {
  const { lifetimeSeconds = MOST_SECONDS / 2, ...rest } = facts;
  const expires = new Date(now.getTime() + lifetimeSeconds * 1000);
  const id = makeUuid7(now);
  const payload = canonical({
    ...rest,
    context_id: id,
    environment: where,
    expires_at: formatTime(expires),
    issued_at: formatTime(now),
    partner,
  });
  parseExact(payload, contextShape);
  const signed = canonical(makeStatement(payload, { kind: KINDS.pageContext, signers: [signer] }));
  if (Buffer.byteLength(signed) > MAX_STATEMENT_BYTES)
    throw new FormatError("too-large", "These facts are too many for one page: name fewer messages.");
  const context = {
    environment: where,
    purpose: "context",
    sender: partner,
    recipient: "agency",
    id,
    kind: "page",
    priority: "none",
  } as const;
  return `1.${partner}.${id}.${toBase64url(await seal(signed, { key, context }))}`;
}
