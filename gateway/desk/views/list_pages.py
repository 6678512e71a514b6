"""One page of a long list: which rows it shows, and how many pages there are; and other small numbers asked for."""

import re
from dataclasses import dataclass
from typing import Final

from flask import request

MOST_LISTED: Final = 100
_NUMBER: Final = re.compile(r"[0-9]{1,6}")


@dataclass(frozen=True, slots=True)
class ListPage:
    """The page that was asked for, of a list of so many rows. Pages count from 1; a list without rows has one."""

    page: int
    pages: int
    found: int
    most: int

    @property
    def first(self) -> int:
        """How many rows stand before this page."""
        return (self.page - 1) * self.most

    @property
    def rows(self) -> slice:
        """Where the rows of this page stand in the whole list."""
        return slice(self.first, self.first + self.most)


def read_list_page(*, found: int) -> ListPage:
    """Return the page that the request asks for in `?page=`: the first for nonsense, the last for one behind it."""
    pages = max(1, -(-found // MOST_LISTED))
    asked = parse_small_number(request.args.get("page", ""))
    return ListPage(page=min(max(1, asked or 1), pages), pages=pages, found=found, most=MOST_LISTED)


def parse_small_number(text: str) -> int | None:
    """Return a number of up to six digits that came from a browser, or None for anything else."""
    return int(text) if _NUMBER.fullmatch(text) else None
