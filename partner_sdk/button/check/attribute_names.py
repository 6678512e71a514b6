"""Which names of attributes a finding may say: those of this table, and no other.

A name is whatever a page writes there, and may be a word about somebody: what is not known here is counted, not said.
"""

from typing import Final

from partner_sdk.button.check.trackers import CONSENT_ATTRIBUTES, TRACKING_ATTRIBUTES

MOST_NAMES: Final = 4

# HTML Standard, 3.2.6 "Global attributes", and 4.6.2, 4.12.1 and 4.8.3 for links, scripts and images (2026-11-25).
_OF_HTML: Final = frozenset(
    (
        *("accesskey", "autofocus", "class", "contenteditable", "dir", "draggable", "enterkeyhint", "hidden", "id"),
        *("inert", "inputmode", "is", "itemid", "itemprop", "itemref", "itemscope", "itemtype", "lang", "nonce"),
        *("part", "popover", "role", "slot", "spellcheck", "style", "tabindex", "title", "translate", "xml:lang"),
        *("alt", "crossorigin", "defer", "download", "height", "href", "hreflang", "integrity", "loading", "name"),
        *("ping", "referrerpolicy", "rel", "src", "srcset", "target", "text", "theme", "type", "value", "width"),
        *("aria-controls", "aria-describedby", "aria-description", "aria-disabled", "aria-expanded", "aria-haspopup"),
        *("aria-hidden", "aria-label", "aria-labelledby", "aria-live", "aria-pressed", "aria-roledescription"),
        *("data-id", "data-testid", "data-toggle", "data-bs-toggle"),
    )
)
# What can take a press: HTML Standard, 8.1.8.2; Pointer Events; Touch Events; and how Vue and Angular write a click.
_HANDLERS: Final = frozenset(
    (
        *("onauxclick", "onbeforeinput", "onblur", "onchange", "onclick", "oncontextmenu", "ondblclick", "onfocus"),
        *("ongotpointercapture", "oninput", "onkeydown", "onkeypress", "onkeyup", "onload", "onmousedown"),
        *("onmouseenter", "onmouseleave", "onmousemove", "onmouseout", "onmouseover", "onmouseup", "onpointercancel"),
        *("onpointerdown", "onpointerenter", "onpointerleave", "onpointermove", "onpointerout", "onpointerover"),
        *("onpointerup", "onsubmit", "ontouchcancel", "ontouchend", "ontouchmove", "ontouchstart", "onwheel"),
        *("@click", "@click.prevent", "@click.stop", "@click.capture", "(click)"),
    )
)
_KNOWN: Final = _OF_HTML | _HANDLERS
_BEGINNINGS: Final = (*TRACKING_ATTRIBUTES, *CONSENT_ATTRIBUTES)


def spell_names(names: tuple[str, ...]) -> str:
    """Return the names that are known, at most `MOST_NAMES`, and that there are others; empty where none is known.

    Of a name that only begins as one of a tracker or a consent manager, the beginning is said.
    """
    known = list(dict.fromkeys(one for one in map(_spell_known, names) if one))
    has_more = len(known) > MOST_NAMES or any(not _spell_known(name) for name in names)
    return ", ".join(known[:MOST_NAMES]) + (" and others" if has_more else "") if known else ""


def _spell_known(name: str) -> str:
    if name in _KNOWN:
        return name
    beginning = max((one for one in _BEGINNINGS if name.startswith(one)), key=len, default="")
    return beginning if name == beginning else f"{beginning}..." if beginning else ""
