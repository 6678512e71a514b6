"""The names that the check knows: trackers, consent managers, and the attributes that a finding may repeat.

The makers' names were looked up in their own documentation on 2026-11-25. The list is not complete and never will be:
it holds what sites commonly use. An attribute's name is free text of the page and may be a word about a person: a
finding repeats names of this table and counts the others.
"""

from typing import Final

# Hosts that serve analytics, tag managers, session recording and heat maps. A name stands for its subdomains too.
TRACKER_HOSTS: Final = frozenset(
    {
        "googletagmanager.com",
        "google-analytics.com",
        "doubleclick.net",
        "connect.facebook.net",
        "bat.bing.com",
        "clarity.ms",
        "hotjar.com",
        "hotjar.io",
        "fullstory.com",
        "mixpanel.com",
        "mxpnl.com",
        "cdn.segment.com",
        "amplitude.com",
        "heap-analytics.com",
        "heapanalytics.com",
        "mouseflow.com",
        "crazyegg.com",
        "analytics.tiktok.com",
        "static.ads-twitter.com",
        "snap.licdn.com",
        "mc.yandex.ru",
        "plausible.io",
        "static.cloudflareinsights.com",
        "cdn.matomo.cloud",
        "script.crazyegg.com",
        "js.hs-analytics.net",
        "nr-data.net",
        "posthog.com",
        "sc-static.net",
        "scorecardresearch.com",
        "quantserve.com",
    }
)
# Attributes by which such scripts are told what to count; the beginning of a name counts.
TRACKING_ATTRIBUTES: Final = (
    "data-track",
    "data-ga",
    "data-gtm",
    "data-analytics",
    "data-event",
    "data-ev-",
    "data-click",
    "data-mixpanel",
    "data-segment",
    "data-amplitude",
    "data-ph-",
    "data-attr-ph",
    "data-heap",
    "data-matomo",
    "data-piwik",
    "data-plausible",
    "data-umami",
    "data-fathom",
    "data-hj",
    "data-vars-",
    "data-layer",
    "data-dl-",
    "data-ylk",
    "data-ved",
    "data-beacon",
    "data-metrics",
    "jsaction",
    "jslog",
)
# Classes by which the same scripts take a link: Plausible's, PostHog's and Matomo's documented spellings.
TRACKING_CLASSES: Final = ("plausible-event-name", "umami--", "piwik_link", "matomo_link", "ph-track")
# Consent managers hold back what carries these: Cookiebot, OneTrust, Usercentrics, Complianz, CookieYes, Borlabs.
CONSENT_ATTRIBUTES: Final = (
    "data-cookieconsent",
    "data-cookieblock",
    "data-cookiecategory",
    "data-cookie-consent",
    "data-consent",
    "data-usercentrics",
    "data-uc-",
    "data-cmplz",
    "data-cookieyes",
    "data-borlabs",
    "data-cmp-",
    "data-cli-",
    "data-category-consent",
)
CONSENT_CLASSES: Final = (
    "cookieconsent-optin",
    "optanon-category",
    "cmplz-blocked",
    "_brlbs-content-blocker",
    "iubenda",
)


def is_tracker(host: str) -> bool:
    """Return whether a host is on the list, or below one that is."""
    parts = host.split(".")
    return any(".".join(parts[start:]) in TRACKER_HOSTS for start in range(len(parts)))


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
# Handlers of a press: HTML Standard, 8.1.8.2; Pointer Events; Touch Events; and how Vue and Angular write a click.
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


def format_names(names: tuple[str, ...]) -> str:
    """Return the names that are known, at most `MOST_NAMES`, and that there are others; empty where none is known.

    For a name that only begins like a tracker's or a consent manager's, return that beginning.
    """
    known = list(dict.fromkeys(one for one in map(_format_known, names) if one))
    has_more = len(known) > MOST_NAMES or any(not _format_known(name) for name in names)
    return ", ".join(known[:MOST_NAMES]) + (" and others" if has_more else "") if known else ""


def _format_known(name: str) -> str:
    if name in _KNOWN:
        return name
    beginning = max((one for one in _BEGINNINGS if name.startswith(one)), key=len, default="")
    return beginning if name == beginning else f"{beginning}..." if beginning else ""
