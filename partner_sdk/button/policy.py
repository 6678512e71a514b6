"""The one line that a strict Content-Security-Policy of a service needs for the button, and what it never needs."""

from dataclasses import dataclass
from typing import Final, Literal, get_args

from partner_sdk.button.release import ICON_PATH, SCRIPT_INTEGRITY
from partner_sdk.button.snippet import Form
from partner_sdk.client.exchange import check_origin
from partner_sdk.errors import FormatError

By = Literal["host", "hash"]
WAYS: Final[tuple[By, ...]] = get_args(By)

# The released files of all versions lie below it: narrower than the whole host (CSP Level 3 §6.7.2.8, paths).
_FOLDER: Final = f"{ICON_PATH.split('/', 2)[1]}/"
_NEVER_FOR_SCRIPT: Final = (
    "img-src: the icon stands in the page",
    "style-src: its style is a sheet made by its script, and it has no style attribute",
    "connect-src, font-src, frame-src, worker-src: it asks for nothing but itself",
    "'unsafe-inline', 'unsafe-eval', a Trusted Types policy: it writes no HTML and no script",
)
_NEVER_FOR_LINK: Final = (
    "script-src: this form has no script",
    "style-src: it has no style attribute",
    "connect-src, font-src, frame-src, worker-src: it asks for nothing but the icon",
)


@dataclass(frozen=True, slots=True)
class Policy:
    """One directive with the source to add to it; `why` says what it is for, `never` what the button does not need."""

    directive: str
    source: str
    why: str
    never: tuple[str, ...]

    @property
    def line(self) -> str:
        """As it stands in the header."""
        return f"{self.directive} {self.source}"


def make_policy(origin: str, *, form: Form, by: By) -> Policy:
    """Return what a page needs; raises `FormatError`: `bad-origin`, or `bad-policy` for an image by hash.

    A hash is that of the released script: the agency's host may change, the line need not.
    """
    check_origin(origin)
    if form == "script" and by == "hash":
        return Policy(
            directive="script-src",
            source=f"'{SCRIPT_INTEGRITY}'",
            why="lets exactly the released script run, wherever it lies (CSP Level 3; an older browser shows the link)",
            never=_NEVER_FOR_SCRIPT,
        )
    if form == "script":
        return Policy(
            directive="script-src",
            source=f"{origin}/{_FOLDER}",
            why="lets the agency's script load; `integrity` in the snippet refuses any other bytes",
            never=_NEVER_FOR_SCRIPT,
        )
    if by == "hash":
        raise FormatError(
            "No browser takes an image by its hash: use --by host, or the form with script.", reason="bad-policy"
        )
    return Policy(
        directive="img-src",
        source=f"{origin}/{_FOLDER}",
        why="lets the icon load; without it the link still shows its words",
        never=_NEVER_FOR_LINK,
    )
