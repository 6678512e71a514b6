/** Shapes of JSON objects of the wire: each reads a value or raises a `FormatError` with the place in it. */
import { type Json, UUID7, parseBase64url, parseCanonical, parseTime } from "./canonical.js";
import { FormatError } from "./errors.js";

export type Shape<T> = (value: Json | undefined, place?: string) => T;
export type Of<S> = S extends Shape<infer T> ? T : never;

type Fields<F> = { readonly [N in keyof F]: F[N] extends Shape<infer T> ? T : never };

const refuse = (place: string, wanted: string): never => {
  throw new FormatError("malformed", `${place || "The text"} must be ${wanted}.`);
};

interface TextRules {
  readonly least?: number;
  readonly most?: number;
  readonly pattern?: RegExp;
}

/** A text; lengths count characters, not UTF-16 units. */
export function text({ least = 0, most = Infinity, pattern }: TextRules = {}): Shape<string> {
  return (value, place = "") => {
    if (typeof value !== "string") return refuse(place, "a text");
    const count = value.length < least || value.length > most ? [...value].length : value.length;
    if (count < least || count > most) return refuse(place, `a text of ${least} to ${most} characters`);
    if (pattern && !pattern.test(value)) return refuse(place, `spelled as ${pattern.source}`);
    return value;
  };
}

export function integer({ least = 0, most = Number.MAX_SAFE_INTEGER } = {}): Shape<number> {
  return (value, place = "") => {
    if (typeof value !== "number" || !Number.isSafeInteger(value) || value < least || value > most) {
      return refuse(place, `a whole number from ${least} to ${most}`);
    }
    return value;
  };
}

export const boolean: Shape<boolean> = (value, place = "") =>
  typeof value === "boolean" ? value : refuse(place, "true or false");

export function oneOf<const T extends string>(...options: readonly T[]): Shape<T> {
  return (value, place = "") =>
    options.find((option) => option === value) ?? refuse(place, `one of ${options.join(", ")}`);
}

export function nullable<T>(shape: Shape<T>): Shape<T | null> {
  return (value, place) => (value === null ? null : shape(value, place));
}

export function list<T>(shape: Shape<T>, most = Infinity): Shape<readonly T[]> {
  return (value, place = "") => {
    if (!Array.isArray(value) || value.length > most) return refuse(place, `a list of at most ${most}`);
    return value.map((one: Json, index) => shape(one, `${place}/${index}`));
  };
}

const isEmpty = (value: Json | undefined): boolean =>
  value === null || value === "" || (Array.isArray(value) && value.length === 0);

/** An object with exactly these fields; the optional ones are left out without a value, and never empty. */
export function object<F extends Record<string, Shape<unknown>>, O extends Record<string, Shape<unknown>> = {}>(
  fields: F,
  optional: O = {} as O,
): Shape<Fields<F> & Partial<Fields<O>>> {
  return (value, place = "") => {
    if (value === null || typeof value !== "object" || Array.isArray(value)) return refuse(place, "an object");
    const given = value as { readonly [name: string]: Json };
    const found: Record<string, unknown> = {};
    for (const name of Object.keys(given)) {
      const shape = Object.hasOwn(fields, name)
        ? fields[name]
        : Object.hasOwn(optional, name)
          ? optional[name]
          : undefined;
      // The name is not repeated: it may be words of a person.
      if (!shape) return refuse(place, "an object without unknown fields");
      // An optional field without a value is left out: null or an empty one is another spelling of that (§2).
      if (!Object.hasOwn(fields, name) && isEmpty(given[name]))
        throw new FormatError("not-canonical", `${place}/${name} must be left out.`);
      found[name] = shape(given[name], `${place}/${name}`);
    }
    for (const name of Object.keys(fields)) {
      if (!Object.hasOwn(found, name)) return refuse(`${place}/${name}`, "there");
    }
    return found as Fields<F> & Partial<Fields<O>>;
  };
}

/** The fields of an unsigned answer that this client reads; later gateways may add others. */
export function answer<F extends Record<string, Shape<unknown>>>(fields: F): Shape<Fields<F>> {
  const known = object(fields);
  return (value, place) => {
    if (value === null || typeof value !== "object" || Array.isArray(value)) return known(value, place);
    const given = Object.entries(value as { readonly [name: string]: Json }).filter(([name]) =>
      Object.hasOwn(fields, name),
    );
    return known(Object.fromEntries(given), place) as Fields<F>;
  };
}

export const base64url =
  (bytes?: number): Shape<string> =>
  (value, place = "") => {
    if (typeof value !== "string") return refuse(place, "base64url");
    const length = parseBase64url(value).length;
    return bytes === undefined || length === bytes ? value : refuse(place, `${bytes} bytes in base64url`);
  };

export const time: Shape<string> = (value, place = "") => {
  if (typeof value !== "string") return refuse(place, "a time");
  parseTime(value);
  return value;
};

export const uuid7 = text({ pattern: UUID7 });
export const uuid = text({ pattern: /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/ });
export const digest = text({ pattern: /^[0-9a-f]{64}$/ });
export const environment = oneOf("live", "sandbox");
export const partnerId = text({ pattern: /^(?!(public|agency)$)[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$/ });
export const reference = text({ pattern: /^(TEST-)?[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{5}-[0-9A-HJKMNP-TV-Z*]$/ });
export type Environment = Of<typeof environment>;

/** Read canonical JSON of a shape. */
export const parseExact = <T>(bytes: Uint8Array | string, shape: Shape<T>): T => shape(parseCanonical(bytes));
