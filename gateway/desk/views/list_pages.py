"""One page of a long list: which rows it shows, and how many pages there are."""

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


def read_list_page(*, found: int, most: int = MOST_LISTED) -> ListPage:
    """Return the page that the request asks for in `?page=`: the first for nonsense, the last for one behind it."""
    asked, pages = request.args.get("page", ""), max(1, -(-found // most))
    page = max(1, int(asked)) if _NUMBER.fullmatch(asked) else 1
    return ListPage(page=min(page, pages), pages=pages, found=found, most=most)
