"""What a field holds, in words for people: its type and limits, and what it means."""

from collections.abc import Iterator

from gateway.description.schemas import Schema, resolve

_TYPES = {"array": "list", "boolean": "true or false", "integer": "whole number", "null": "null", "object": "object"}


def describe_schema(schema: Schema, components: dict[str, Schema]) -> tuple[str, str]:
    """Return the type with its limits, and the words of a field."""
    found = resolve(schema, components)
    if "anyOf" in found:
        parts = [describe_schema(option, components) for option in found["anyOf"]]
        spoken = (found.get("description"), *(words for _kind, words in parts))
        return " or ".join(kind for kind, _words in parts), next((str(words) for words in spoken if words), "")
    words = schema.get("description") or found.get("description") or ""
    return ", ".join(_list_type_words(found)), str(words)


def _list_type_words(schema: Schema) -> Iterator[str]:
    if "enum" in schema:
        values = [str(value) for value in schema["enum"]]
        yield f"always {values[0]}" if len(values) == 1 else f"one of {', '.join(values)}"
        return
    kind = schema.get("type", "any value")
    encoding = schema.get("contentEncoding")
    yield f"text ({encoding})" if encoding else _TYPES.get(kind, "text" if kind == "string" else kind)
    if schema.get("minLength") is not None and schema.get("minLength") == schema.get("maxLength"):
        yield f"exactly {schema['maxLength']:,} characters"
    elif "maxLength" in schema:
        yield f"at most {schema['maxLength']:,} characters"
    if "minimum" in schema:
        yield f"from {schema['minimum']:,}"
    if "maximum" in schema:
        yield f"to {schema['maximum']:,}"
    elif "exclusiveMaximum" in schema:
        yield f"below {schema['exclusiveMaximum']:,}"
    if "maxItems" in schema:
        yield f"at most {schema['maxItems']:,}"
