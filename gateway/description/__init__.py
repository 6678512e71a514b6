"""Describes the industry door's calls, from the views themselves: OpenAPI for machines, a page for people.

Never repeats a call, a limit or a problem: all are read from the routes, their rules and the wire.
"""

from gateway.description.document import (
    Answer,
    Call,
    DescribedCall,
    UndescribedCallError,
    describe,
    list_calls,
    make_document,
)
from gateway.description.page import render_page

__all__ = [
    "Answer",
    "Call",
    "DescribedCall",
    "UndescribedCallError",
    "describe",
    "list_calls",
    "make_document",
    "render_page",
]
