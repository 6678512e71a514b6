"""What the calls of the industry door are, told from their own views: a document for machines, a page for people.

Never names a call, a limit or a problem a second time: all of it is read from the routes, their rules and the wire.
"""

from gateway.description.calls import Answer, Call, DescribedCall, UndescribedCallError, describe, list_calls
from gateway.description.document import make_document
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
