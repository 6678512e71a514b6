"""The front page: the work that waits, the most urgent first."""

from dataclasses import dataclass
from typing import Any, Final

from flask import Blueprint, Response, current_app

from partner_sdk.console.page import NavItem, get_console, show_page
from partner_sdk.console.sent_pages import list_rows, list_spool
from partner_sdk.console.writing_pages import get_drafts

blueprint = Blueprint("front", __name__)
NAV: Final = NavItem("Home", "front.get_front")
NEWEST: Final = 5
FRONT_BLOCKS: Final = "report_abuse_front_blocks"


@dataclass(frozen=True, slots=True)
class FrontBlock:
    """The waiting work of one subject: a template that the front page includes, and its `work`.

    A module of pages makes it in `FRONT`, a function without arguments, or returns None where nothing waits.
    """

    template: str
    work: Any


@blueprint.get("/")
def get_front() -> Response:
    """Show the waiting work."""
    blocks: list[FrontBlock | None] = [make() for make in current_app.extensions[FRONT_BLOCKS]]
    waiting = list_spool()
    return show_page(
        "front.html",
        blocks=[one for one in blocks if one is not None],
        waiting=waiting,
        urgent=any(one.priority == "P1" for one in waiting),
        drafts=get_drafts().list_all(),
        rows=list_rows(most=NEWEST),
        now=get_console().clock(),
    )
