"""What a digest recommends and what it says has changed, from published numbers only.

Never reads a count without noise: a rank or a trend taken from the true figures would be a release of its own.
"""

from collections.abc import Sequence

from partner_sdk.wire.digest import Digest, DigestAdvice, DigestCell, DigestTable, DigestTrend

MOST_RECOMMENDATIONS = 3

_CHANGES = {
    "open_direct_messages": "Let adults who do not know a child reach that child only through a request that the "
    "child can decline unseen.",
    "weak_age_check": "Check age with more than a typed date, and look again when behaviour and stated age disagree.",
    "off_platform_move": "Warn when a new contact sends a link, a number or a name on another service to a child.",
    "slow_response": "Answer complaints about contact with a child first, and tell the person who complained.",
    "no_block_tool": "Put block and report in one place, one step away from every message, and make a block hold for "
    "new accounts of the same person.",
    "hidden_report_route": "Show the way to report beside every message and profile, in the same words everywhere.",
    "live_stream_unmoderated": "Watch live streams by or with children while they run, and stop them on a sign of "
    "pressure.",
    "stranger_recommendation": "Do not recommend children and adults to each other when they do not know each other.",
}


def make_recommendations(weaknesses: DigestTable) -> list[DigestAdvice]:
    """Return the changes for the highest weaknesses that are shown and stand out of the noise, highest first."""
    clear = [cell for cell in weaknesses.cells if cell.value is not None and cell.low > 0]
    ranked = sorted(clear, key=lambda cell: -(cell.value or 0))[:MOST_RECOMMENDATIONS]
    return [
        DigestAdvice(rank=rank, label=cell.label, weakness=cell.title, change=_CHANGES[cell.label])
        for rank, cell in enumerate(ranked, start=1)
    ]


def make_trends(*, total: DigestCell, kinds: DigestTable | None, before: Digest | None) -> list[DigestTrend]:
    """Return what is clearly more or fewer than in the digest before, and the total in any case."""
    if before is None:
        return []
    trends = [_make_trend(total, before.total, since=before.quarter)]
    earlier = {cell.label: cell for table in before.tables if table.name == "kind" for cell in table.cells}
    for cell in kinds.cells if kinds else []:
        if cell.label in earlier:
            trend = _make_trend(cell, earlier[cell.label], since=before.quarter)
            trends += [trend] if trend.direction != "unclear" else []
    return trends


def _make_trend(now: DigestCell, before: DigestCell, *, since: str) -> DigestTrend:
    # Two intervals that do not touch: the change is larger than both noises together explain.
    if now.low > before.high:
        return DigestTrend(now.label, now.title, "up", f"more than in {since}, by more than the noise explains")
    if now.high < before.low:
        return DigestTrend(now.label, now.title, "down", f"fewer than in {since}, by more than the noise explains")
    return DigestTrend(now.label, now.title, "unclear", f"no change from {since} that stands out of the noise")


def find_table(tables: Sequence[DigestTable], name: str) -> DigestTable | None:
    """Return the table of that name, or None when its draw was lost."""
    return next((table for table in tables if table.name == name), None)
