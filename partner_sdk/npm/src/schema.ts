/**
 * Checks JSON against the two schemas of this package, which are those of `GET /v1/schema/report.json` and
 * `/v1/schema/mailbox.json`. Knows the keywords that these use and refuses any other, so that no rule is passed over.
 */
import { createRequire } from "node:module";

import type { Json } from "./canonical.js";
import type { FieldFault } from "./errors.js";

interface Schema {
  readonly $ref?: string;
  readonly $defs?: Readonly<Record<string, Schema>>;
  readonly type?: string;
  readonly enum?: readonly Json[];
  readonly anyOf?: readonly Schema[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean;
  readonly items?: Schema;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly pattern?: string;
  readonly description?: string;
}

const KNOWN = new Set([
  ...["$defs", "$ref", "$schema", "type", "enum", "anyOf", "properties", "required", "additionalProperties", "items"],
  ...["minItems", "maxItems", "minLength", "maxLength", "minimum", "maximum", "pattern"],
  // These are for people: they decide nothing about a value.
  ...["contentEncoding", "default", "description", "examples", "title", "x-asked-by", "x-needed", "x-needed-when"],
]);
const MOST_FAULTS = 50; // enough for a person to fix in one go

const load = createRequire(import.meta.url);
export const REPORT_SCHEMA = load("./schema/report.json") as Schema;
export const MAILBOX_SCHEMA = load("./schema/mailbox.json") as Schema;

const typeOf = (value: Json): string => {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  return Number.isInteger(value) ? "integer" : typeof value;
};

/** List where a value does not fit its schema. A fault never repeats a value, nor a name that the schema lacks. */
export function listFaults(value: Json, root: Schema, schema: Schema = root): FieldFault[] {
  return [...walk(value, schema, "#", root)].slice(0, MOST_FAULTS);
}

function resolve(schema: Schema, root: Schema): Schema {
  const unknown = Object.keys(schema).find((keyword) => !KNOWN.has(keyword));
  if (unknown) throw new Error(`The schema has the keyword ${unknown}, which this client does not know.`);
  if (schema.$ref === undefined) return schema;
  const found = root.$defs?.[schema.$ref.replace("#/$defs/", "")];
  if (!found) throw new Error(`The schema lacks ${schema.$ref}.`);
  return resolve(found, root);
}

function* walk(value: Json, given: Schema, place: string, root: Schema): Generator<FieldFault> {
  const schema = resolve(given, root);
  if (schema.anyOf) {
    const options = schema.anyOf.map((option) => resolve(option, root));
    const faults = options.map((option) => [...walk(value, option, place, root)]);
    if (faults.some((one) => one.length === 0)) return;
    // The faults of the option that was meant: the one of this type, and of objects the first.
    const meant = options.findIndex(
      (option) =>
        option.type === typeOf(value) &&
        !(
          option.type === "object" &&
          option.required?.[0] === "not_held" &&
          options.some((one) => one.type === "object" && one !== option)
        ),
    );
    yield* meant === -1
      ? [{ pointer: place, detail: `Give ${options.map((option) => describe(option)).join(", or ")}.` }]
      : (faults[meant] ?? []);
    return;
  }
  if (schema.enum && !schema.enum.includes(value)) yield { pointer: place, detail: `Give ${describe(schema)}.` };
  if (schema.type !== undefined && schema.type !== typeOf(value)) {
    yield { pointer: place, detail: `Give ${describe(schema)}.` };
    return;
  }
  if (typeof value === "string") {
    const length = [...value].length;
    const isLong = length > (schema.maxLength ?? Infinity) || length < (schema.minLength ?? 0);
    if (isLong || (schema.pattern !== undefined && !new RegExp(schema.pattern, "u").test(value)))
      yield { pointer: place, detail: `Give ${describe(schema)}.` };
  } else if (typeof value === "number") {
    if (value > (schema.maximum ?? Infinity) || value < (schema.minimum ?? -Infinity))
      yield { pointer: place, detail: `Give ${describe(schema)}.` };
  } else if (isArray(value)) {
    if (value.length > (schema.maxItems ?? Infinity) || value.length < (schema.minItems ?? 0))
      yield { pointer: place, detail: `Give ${describe(schema)}.` };
    if (schema.items)
      for (const [index, one] of value.entries()) yield* walk(one, schema.items, `${place}/${index}`, root);
  } else if (value !== null && typeof value === "object") {
    yield* walkObject(value, schema, place, root);
  }
}

const isArray = (value: Json): value is readonly Json[] => Array.isArray(value);

function* walkObject(
  value: { readonly [name: string]: Json | undefined },
  schema: Schema,
  place: string,
  root: Schema,
): Generator<FieldFault> {
  const { properties = {}, required = [] } = schema;
  const given = Object.keys(value).filter((name) => value[name] !== undefined);
  const missing = required.filter((name) => !given.includes(name));
  if (schema.additionalProperties === false && given.some((name) => !Object.hasOwn(properties, name))) {
    yield {
      pointer: place,
      detail: `Remove the field directly under ${place} that is not in the schema. Its fields are ${Object.keys(properties).join(", ")}.`,
    };
  }
  for (const name of missing) yield { pointer: `${place}/${name}`, detail: "Add this field: it is required." };
  for (const name of given) {
    const part = Object.hasOwn(properties, name) ? properties[name] : undefined;
    if (part) yield* walk(value[name] as Json, part, `${place}/${name}`, root);
  }
}

function describe(schema: Schema): string {
  if (schema.enum) return `one of ${schema.enum.map(String).join(", ")}`;
  if (schema.type === "null") return "null";
  if (schema.required?.[0] === "not_held") return '{"not_held": a reason}';
  if (schema.pattern !== undefined) return `a text spelled as ${schema.pattern}`;
  if (schema.type === "string")
    return `a text of ${schema.minLength ?? 0} to ${schema.maxLength ?? "any number of"} characters`;
  if (schema.type === "array")
    return `a list${schema.maxItems === undefined ? "" : ` of ${schema.minItems ?? 0} to ${schema.maxItems}`}`;
  if (schema.type === "integer") return `a whole number from ${schema.minimum ?? "any"} to ${schema.maximum ?? "any"}`;
  return schema.type === "boolean" ? "true or false" : "an object";
}
