"""The side pages and their paths: other ways to get help, and what this site is."""

from collections.abc import Mapping

SIDE_PATHS: Mapping[str, str] = {
    "talk": "1a",
    "no_name": "1b",
    "saw_picture": "1c",
    "own_thoughts": "1d",
    "what_to_report": "1e",
    "privacy": "1f",
    "accessibility": "1g",
    "problem": "1h",
    "stay_safe": "2a",
}
# Those that stand at the foot of every page.
ABOUT_PAGES = ("what_to_report", "privacy", "accessibility", "problem")
