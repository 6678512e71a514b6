"""The check of one page's button: in a browser by one table of rules, or of its link alone without one.

The extra `browser` brings Playwright. `browser_check.py` judges the page as
Chromium shows it; `link_check.py` needs no browser and looks for the link alone. Both give a `ButtonCheck` (WIRE.md
§10.2). Never keeps or repeats words of the page, and never sends anything anywhere.

    from datetime import UTC, datetime
    from partner_sdk.console.check import Expected, check_link

    expected = Expected(origin="https://report.example", placement="example-chat-profile")
    check = check_link(html, address="https://chat.example/profile", expected=expected, now=datetime.now(UTC))
    check.result  # "passes", "faults" or "unreachable"
"""

from partner_sdk.console.check.link_check import check_link
from partner_sdk.console.findings import (
    MAX_KNOWN_BYTES,
    Expected,
    Known,
    explain_no_page,
    make_unreachable,
    parse_known,
)

__all__ = ["MAX_KNOWN_BYTES", "Expected", "Known", "check_link", "explain_no_page", "make_unreachable", "parse_known"]
