// @ts-check
// Finds in a person's own words, on their own phone, what speaks of danger today: as `gateway/guidance/risk.py` does, with
// the phrases of the journey's data, and tests/gateway/public/test_words_on_phone.py compares the two. What is found
// offers help and sets the report's priority; it leaves the page in no other way, and no answer is changed by it.

/**
 * @typedef {object} Words what `gateway/guidance/phrases.toml` explains
 * @property {[string, string]} marks each mark, and in its place the one that it is read as
 * @property {string[]} denied_by
 * @property {string[]} between
 * @property {string[]} told_in
 * @property {string[]} sayings
 * @property {Record<string, string[]>} found phrases by what they speak of
 * @property {Record<string, string>} talk the thank-you page's list of people to talk to, if it is one of its own
 *
 * @typedef {import("./journey.js").Journey} Journey
 * @typedef {import("./journey.js").Answers} Answers
 * @typedef {import("./journey.js").Field} Field
 */

// What Python's \w has, and the `...` of a phrase: up to four words of the same sentence.
const LETTER = "[\\p{L}\\p{N}_]";
const GAP = `(?:[\\p{L}\\p{N}_,"][\\p{L}\\p{N}_.,]* ){0,4}`;
const APOSTROPHE = new RegExp(`(?<=${LETTER})'(?=${LETTER})`, "gu");
const WORD = new RegExp(`\\p{Nd}+[.,]\\p{Nd}+${LETTER}*|${LETTER}+|[.,"]`, "gu"); // 8.30 is one

/** Return small words without accents and apostrophes, one space around each and around each mark. @type {(words: Words, text: string) => string} */
function normalise({ marks: [marks, plain] }, text) {
  const bare = text
    .normalize("NFKD")
    .replace(/\p{Mn}/gu, "")
    .toLowerCase();
  const marked = Array.from(bare, (one) => plain[marks.indexOf(one)] ?? one).join("");
  return ` ${(marked.replace(APOSTROPHE, "").replaceAll("'", '"').match(WORD) ?? []).join(" ")} `;
}

/** @type {(phrases: string[]) => RegExp} */
function compile(phrases) {
  const spell = (/** @type {string} */ one) =>
    one === "..." ? GAP : `(?:${one.replaceAll("/", "|").replaceAll("*", `${LETTER}*`)}) `;
  const spelled = phrases.map((phrase) => phrase.split(" ").map(spell).join(""));
  return new RegExp(`(?<= )(?:${spelled.join("|")})`, "gu");
}

/** Whether a phrase at this place is neither denied nor quoted from a song or film. @type {(words: Words, plain: string, at: number) => boolean} */
function isMeant({ denied_by, between, told_in }, plain, at) {
  const begins = plain.slice(0, at).lastIndexOf(" . ") + 1;
  const ends = plain.indexOf(" . ", at);
  const cut = (/** @type {number | undefined} */ end) => plain.slice(begins, end).split(" ").filter(Boolean);
  const before = cut(at);
  const isQuoted = before.filter((one) => one === '"').length % 2 === 1;
  if (isQuoted && cut(ends < 0 ? undefined : ends).some((one) => told_in.includes(one))) return false;
  while (between.includes(before.at(-1) ?? "")) before.pop();
  return ![before.at(-1) ?? "", before.slice(-2).join(" ")].some((one) => denied_by.includes(one));
}

/** List what words of danger today speak of. @type {(data: Journey, text: string) => string[]} */
export function listFoundInWords({ words }, text) {
  const plain = normalise(words, text).replace(compile(words.sayings), ", ");
  const isSaid = (/** @type {RegExp} */ phrase) => {
    for (let match = phrase.exec(plain); match; match = phrase.exec(plain)) {
      if (isMeant(words, plain, match.index)) return true;
      phrase.lastIndex = match.index + 1; // the next may begin within a denied one
    }
    return false;
  };
  return Object.keys(words.found).filter((code) => isSaid(compile(words.found[code])));
}

/** List the factors of danger today that are found in these fields. @type {(data: Journey, fields: Field[], answers: Answers) => string[]} */
export const listSpokenOf = (data, fields, answers) =>
  fields
    .filter(({ kind, name }) => ["text", "textarea"].includes(kind) && answers[name])
    .flatMap(({ name }) => answers[name].flatMap((text) => listFoundInWords(data, text)));
