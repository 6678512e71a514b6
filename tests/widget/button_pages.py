"""Pages of a service that carry the button as the SDK writes it, and its required look wherever it is dressed."""

import re
from importlib.resources import files
from typing import Any

from partner_sdk.button.snippet import SCRIPT_INTEGRITY, VERSION, WORDS, make_snippet
from tests.widget.host_pages import SCRIPT, HostPages, make_page

PLACEMENT = "example-chat-profile"
SCRIPT_BYTES = files("widget").joinpath(VERSION, "report-abuse-button.js").read_bytes()
COPY = "/copy/report-abuse-button.js"
SCRIPT_TAG = re.compile(r"<script .*?</script>\n")
# The element's drawing, on a light page and on a dark one.
FACE = {"words": WORDS["en"].text, "colour": "rgb(21, 70, 80)", "ground": "rgb(246, 198, 91)"}
LEAST_PIXELS = 44


def put_button(host: HostPages, agency_url: str, *, path: str = "/", policy: str = "", **snippet: Any) -> str:
    """Show the button on a page of the service; return the page's address."""
    headers = {"Content-Security-Policy": policy} if policy else {}
    return host.put(path, make_page(make_snippet(agency_url, placement=PLACEMENT, **snippet)), headers=headers)


def take_script_out(snippet: str) -> str:
    """Return the snippet without its script."""
    changed = SCRIPT_TAG.sub("", snippet)
    assert changed != snippet
    return changed


def make_script(address: str, *, attributes: str = "", integrity: str = SCRIPT_INTEGRITY) -> str:
    """Write the snippet's script with another address, further attributes or another hash."""
    kept = 'crossorigin="anonymous" referrerpolicy="no-referrer"'
    return f'<script src="{address}" integrity="{integrity}" {kept} defer{attributes}></script>\n'


def put_copy(host: HostPages, *, path: str = COPY, after: str = "", body: bytes = SCRIPT_BYTES) -> str:
    """Serve a copy of the script from the service's own host; return its address."""
    return host.put(path, body, content_type=SCRIPT, after=after)


def check_dressed(button: dict[str, Any], *, face: dict[str, str] = FACE, label: str = WORDS["en"].label) -> None:
    """Check that a button shows the one face, large enough for a thumb, and that all of it is the service's link."""
    assert button["isDefined"]
    assert button["isDressed"]
    assert {name: button[name] for name in face} == face
    assert min(button["box"][2:]) >= LEAST_PIXELS
    assert button["isPressed"]
    assert button["label"] == label


def check_plain(button: dict[str, Any], *, words: str = WORDS["en"].text) -> None:
    """Check that the service's own link is there, with visible icon and words."""
    assert not button["isDressed"]
    assert button["words"] == words
    assert button["opacity"] == "1"
    assert min(button["iconBox"][2:]) >= LEAST_PIXELS
