"""JSON Schemas of the wire's models for the document, and an example of each body.

Adds no limit that the model does not have.
"""

import json
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final

import msgspec

from partner_sdk.wire.field_types import format_patterns
from partner_sdk.wire.problems import PROBLEMS

REFERENCE: Final = "#/components/schemas/"
PROBLEM: Final = "Problem"

Schema = dict[str, Any]


def make_schemas(kinds: Iterable[Any]) -> tuple[dict[Any, Schema], dict[str, Schema]]:
    """Return the schema of each kind, and the components they refer to."""
    asked = [kind for kind in dict.fromkeys(kinds) if kind is not None and kind is not bytes]
    schemas, components = msgspec.json.schema_components(asked, ref_template=f"{REFERENCE}{{name}}")
    own = {kind: format_patterns(schema) for kind, schema in zip(asked, schemas, strict=True)}
    # OpenAPI 3.1 §4.8.14.3: a raw body has a media type and an empty schema.
    return {**own, bytes: {}}, {name: format_patterns(schema) for name, schema in components.items()}


def make_problem_schema(*, origin: str) -> Schema:
    """Return the schema of a problem document (RFC 9457)."""
    return {
        "title": PROBLEM,
        "description": "A problem and its fix. The type `about:blank` adds nothing to the status.",
        "type": "object",
        "properties": {
            "type": {
                "description": "The type of the problem; the URL shows a page about it.",
                "enum": ["about:blank", *(f"{origin}/problems/{problem.slug}" for problem in PROBLEMS)],
            },
            "title": {"description": "The same for every problem of this type.", "type": "string"},
            "status": {"description": "The HTTP status.", "type": "integer", "minimum": 400, "maximum": 599},
            "detail": {"description": "Your next step. Absent for errors of the gateway.", "type": "string"},
            "instance": {
                "description": "The request id; quote it when you contact the agency.",
                "type": "string",
                "pattern": "^urn:uuid:[0-9a-f-]{36}$",
            },
            "errors": {
                "description": "The faulty fields.",
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "pointer": {"description": "A JSON pointer as a URI fragment.", "type": "string"},
                        "detail": {"type": "string"},
                    },
                    "required": ["pointer", "detail"],
                    "additionalProperties": False,
                },
            },
        },
        "required": ["type", "title", "status", "instance"],
        "additionalProperties": False,
    }


def resolve(schema: Schema, components: Mapping[str, Schema]) -> Schema:
    """Return the schema that a `$ref` points to, or the schema itself."""
    while "$ref" in schema:
        schema = components[schema["$ref"].removeprefix(REFERENCE)]
    return schema


@cache
def read_examples() -> Mapping[str, Any]:
    """Return an example of each JSON body by operationId, from the wire's test vectors."""
    vectors = json.loads(files("partner_sdk").joinpath("vectors/calls.json").read_bytes())
    return {case["operation"]: case["body"] for case in vectors["cases"] if case["expect"] == "success"}
