"""The conformance check: reads one page as a browser does and finds out whether its button is as agreed.

An extra with an import of its own: `pip install 'report-abuse-partner-sdk[check]'` brings the HTML parser, and
`[browser]` Playwright as well. `check_page` reads the page's source, `browser_check.py` measures it in Chromium. Both
give a `ButtonCheck` (WIRE.md §10.2). Never keeps or repeats words of the page, and never sends anything anywhere.

    from datetime import UTC, datetime
    from partner_sdk.button.check import Expected, check_page

    expected = Expected(origin="https://report.example", placement="example-chat-profile")
    check = check_page(html, address="https://chat.example/profile", expected=expected, now=datetime.now(UTC))
    check.result  # "passes", "faults" or "unreachable"
"""

from partner_sdk.button.check._buttons import MAX_KNOWN_BYTES, Expected, Known, parse_known
from partner_sdk.button.check.findings import explain_no_page
from partner_sdk.button.check.static_check import check_page, make_unreachable

__all__ = ["MAX_KNOWN_BYTES", "Expected", "Known", "check_page", "explain_no_page", "make_unreachable", "parse_known"]
