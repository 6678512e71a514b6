/** References for reading aloud (WIRE.md §6.3), e.g. `K7QF-2M9TX-D`. */
import { FormatError } from "./errors.js";

const SYMBOLS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"; // Crockford's base 32
const REFERENCE = /^(?:TEST-)?([0-9A-HJKMNP-TV-Z]{4})-([0-9A-HJKMNP-TV-Z]{5})-([0-9A-HJKMNP-TV-Z])$/;

/** ISO 7064, hybrid system MOD 33,32. */
function getCheckSymbol(symbols: string): string | undefined {
  let carry: number = SYMBOLS.length;
  for (const symbol of symbols) {
    carry = (carry + SYMBOLS.indexOf(symbol)) % SYMBOLS.length || SYMBOLS.length;
    carry = (carry * 2) % (SYMBOLS.length + 1);
  }
  return SYMBOLS[(SYMBOLS.length + 1 - carry) % SYMBOLS.length];
}

/** Raise `FormatError` unless a reference is in its one spelling and its check symbol fits. */
export function checkReference(reference: string): void {
  const [, first = "", second = "", check] = REFERENCE.exec(reference) ?? [];
  if (check === undefined) throw new FormatError("bad-reference", "A reference is spelled like K7QF-2M9TX-D.");
  if (getCheckSymbol(first + second) !== check)
    throw new FormatError("bad-reference", "This reference has a typing error: check it again.");
}
