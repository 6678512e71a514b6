"""Answers of the industry door and the feed: canonical JSON, or bytes signed once and given out as stored."""

from http import HTTPStatus

from flask import Response

from partner_sdk.wire.canonical import encode
from partner_sdk.wire.signature_profile import CONTENT_TYPE


def answer_bytes(raw: bytes, *, status: HTTPStatus = HTTPStatus.OK) -> Response:
    """Answer with JSON bytes as they are."""
    return Response(raw, status=status, content_type=CONTENT_TYPE)


def answer_json(value: object, *, status: HTTPStatus = HTTPStatus.OK) -> Response:
    """Answer with a value in canonical JSON."""
    return Response(encode(value), status=status, content_type=CONTENT_TYPE)
