"""What counts presses and what holds scripts back: names that were looked up in the makers' own documentation.

Looked up 2026-11-25. Not complete, and never will be: it finds what sites commonly use, and says nothing of the rest.
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
