"""The front page: the work that waits, the most urgent first."""

from collections.abc import Callable
from typing import Final

from flask import Blueprint, Response, current_app

from partner_sdk.console.page import NavItem, get_console, show_page
from partner_sdk.console.sent_pages import list_rows, list_spool
from partner_sdk.console.writing_pages import get_drafts

blueprint = Blueprint("front", __name__)
NAV: Final = NavItem("Home", "front.get_front")
NEWEST: Final = 5
FRONT_BLOCKS: Final = "report_abuse_front_blocks"

FrontBlock = Callable[[], str]
"""Returns the waiting work of one subject as HTML from its own template, or nothing."""


@blueprint.get("/")
def get_front() -> Response:
    """Show the waiting work."""
    blocks = [block() for block in current_app.extensions.get(FRONT_BLOCKS, ())]
    waiting = list_spool()
    return show_page(
        "front.html",
        blocks=[one for one in blocks if one],
        waiting=waiting,
        urgent=any(one.priority == "P1" for one in waiting),
        drafts=get_drafts().list_all(),
        rows=list_rows()[:NEWEST],
        now=get_console().clock(),
    )
