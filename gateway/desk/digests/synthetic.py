"""Marked, made-up cases of a past quarter, so that a digest can be tried without real reports.

Never makes, opens or fakes an envelope: a synthetic case has no report behind it and is marked in its id and its
reference. The seed fixes the data; the noise over it is never seeded.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta

from sqlalchemy import insert, select

from gateway.desk.cases.choices import choose_facts
from gateway.desk.collection.joining import make_values
from gateway.desk.keyring.key_set import Quarter, check_closed
from gateway.desk.office.wiring import Desk
from gateway.desk.partners.placement_register import list_placements
from gateway.desk.store import audit
from gateway.desk.store.schema import CASE_LINKS, CASES
from partner_sdk.errors import ReportAbuseError
from partner_sdk.wire.canonical import format_time
from partner_sdk.wire.submission import PUBLIC_SENDER

MOST_CASES = 10_000

# Shares in hundredths. Our own guess: they only need to be uneven.
KIND_SHARES = {
    "grooming": 34,
    "sexual_talk": 20,
    "coercion_blackmail": 20,
    "meet_offline": 12,
    "sexual_acts_live": 9,
    "risk_behaviour": 5,
}
AGE_SHARES = {"12_or_under": 22, "13_15": 48, "16_17": 18, "18_plus": 2, "unknown": 10}
OUTCOME_SHARES = {"used": 46, "actioned": 22, "needs_more": 14, "out_of_remit": 10, "duplicate": 8}
# The empty code is "Not known".
FACT_SHARES = {
    "first_contact": {"private_message": 34, "comments": 14, "game": 12, "group_chat": 8, "live_stream": 6, "": 26},
    "moved_to": {"messenger": 30, "not_moved": 26, "social_network": 12, "video": 6, "": 26},
    "blackmail": {"none": 50, "with_money": 18, "without_money": 10, "": 22},
    "posed_as": {"peer": 38, "adult": 16, "child": 8, "": 38},
}
WEAKNESS_SHARES = {
    "open_direct_messages": 30,
    "weak_age_check": 20,
    "off_platform_move": 16,
    "slow_response": 12,
    "no_block_tool": 8,
    "hidden_report_route": 6,
    "live_stream_unmoderated": 5,
    "stranger_recommendation": 3,
}
# One case in twelve repeats an earlier case's incident: such a cluster counts once.
_SHARED_CLUSTERS = 12


class SyntheticError(ReportAbuseError):
    """Synthetic cases cannot be made with these values."""


def make_synthetic_cases(desk: Desk, *, partner: str, quarter: Quarter, count: int, seed: int, actor: str) -> int:
    """File marked closed cases about a partner in a past quarter and return the number of new ones.

    Repeating the same order adds nothing. Raises `QuarterError` for a running quarter, `SyntheticError` for a count
    outside 1 to 10,000.
    """
    now = desk.clock()
    check_closed(quarter, now=now)
    if not 1 <= count <= MOST_CASES:
        raise SyntheticError(f"Make between 1 and {MOST_CASES} synthetic cases at a time.", reason="bad-count")
    with desk.store.write() as connection:
        known = set(connection.execute(select(CASES.c.case_id).where(CASES.c.synthetic.is_(True))).scalars())
        places = [row.placement for row in list_placements(connection, owner=partner)]
        made = list(_make_cases(desk.config.environment, partner, quarter, places=places, count=count, seed=seed))
        firsts = _choose_firsts(made, seed=seed)
        new = [case for case in made if case["case_id"] not in known]
        if new:
            connection.execute(insert(CASES), new)
            names = {str(case["case_id"]) for case in new}
            links = [make_values(name, first, by=actor, now=now) for name, first in firsts.items() if name in names]
            if links:
                connection.execute(insert(CASE_LINKS), links)
        audit.append_entry(
            connection,
            "make-synthetic-cases",
            f"{quarter.name}.{partner}",
            at=now,
            actor=actor,
            count=len(new),
            seed=seed,
        )
    return len(new)


def _make_cases(
    environment: str, partner: str, quarter: Quarter, *, places: Sequence[str], count: int, seed: int
) -> Iterator[dict[str, object]]:
    # Not for secrets: the same seed gives the same cases on every machine.
    source = random.Random(f"{seed}/{partner}/{quarter.name}")  # noqa: S311 - data, no secret
    # A source of its own, so that the other answers of a seed stay the same.
    facts = random.Random(f"{seed}/{partner}/{quarter.name}/facts")  # noqa: S311 - data, no secret
    last = quarter.ends_at - timedelta(seconds=1)
    for number in range(1, count + 1):
        name = f"synthetic-{quarter.name}-{partner}-{seed}-{number:05d}"
        received_at = quarter.starts_at + (last - quarter.starts_at) * source.random()
        closed_at = min(last, received_at + timedelta(days=source.randrange(1, 15)))
        wanted = source.choices((0, 1, 2), weights=(25, 50, 25))[0]
        weaknesses = tuple(dict.fromkeys(_choose(source, WEAKNESS_SHARES) for _ in range(wanted)))
        yield {
            "case_id": name,
            "environment": environment,
            "partner": PUBLIC_SENDER,
            "about": partner,
            "report_id": name,
            "reference": f"SYNTHETIC-{quarter.name}-{number:05d}",
            "door": "public",  # never "industry": a partner's own reports are counted exactly, and these have none
            # By number, not at random: the other answers stay the same for any agreed places.
            "placement": places[number % len(places)] if places else None,
            "priority": "P3",
            "received_at": format_time(received_at),
            "collected_at": format_time(received_at),
            "closed_at": format_time(closed_at),
            "reply_owed": False,
            "kind": _choose(source, KIND_SHARES),
            "age_band": _choose(source, AGE_SHARES),
            "outcome": _choose(source, OUTCOME_SHARES),
            "weakness_1": weaknesses[0] if weaknesses else None,
            "weakness_2": weaknesses[1] if len(weaknesses) > 1 else None,
            "synthetic": True,
            **choose_facts({fact: _choose(facts, shares) for fact, shares in FACT_SHARES.items()}),
        }


def _choose_firsts(made: Sequence[Mapping[str, object]], *, seed: int) -> dict[str, str]:
    """Return the earlier case whose incident a case repeats, by case id; the same seed gives the same ones."""
    source = random.Random(seed)  # noqa: S311 - data, no secret
    firsts: dict[str, str] = {}
    own: list[str] = []
    for name in (str(case["case_id"]) for case in made):
        if own and source.randrange(_SHARED_CLUSTERS) == 0:
            firsts[name] = source.choice(own)
        else:
            own.append(name)
    return firsts


def _choose(source: random.Random, shares: dict[str, int]) -> str:
    return source.choices(list(shares), weights=list(shares.values()))[0]
