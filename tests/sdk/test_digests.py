"""The reading side of digests: the page for managers, the changes between periods, rows, and the command."""

import csv
import io
import random
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import msgspec
import pytest

from gateway.desk.digests.own_facts import make_exact_cell
from gateway.desk.digests.payload import make_cell
from partner_sdk._commands.runtime import EXIT_FAILED
from partner_sdk.console.digests.page import render_page
from partner_sdk.console.digests.view import Figure, Grid, judge_change, list_changes, list_earlier, make_digest_page
from partner_sdk.console.feedback import format_rows
from partner_sdk.wire.canonical import encode, to_base64url
from partner_sdk.wire.digest import Digest, DigestNotice, DigestTable
from tests.builders import House
from tests.sdk.mailbox_builders import make_post, post_to
from tests.sdk.sdk_builders import Terminal, make_digest
from tests.whole.browser_walk import AXE_FAULTS, AXE_SCRIPT, AXE_TAGS
from tests.whole.public_server import open_chromium

HOSTILE = '<script src="https://evil.example">&"\''


def make_kinds(**values: int) -> DigestTable:
    cells = [
        make_cell(label, title=label.capitalize(), value=value, low=value - 5, high=value + 5, own=1, evidence="clear")
        for label, value in values.items()
    ]
    return DigestTable("kind", "Main kind of report", False, 550_000, 1, cells, "")


def make_quarter(period: str, *, total: int, **changes: Any) -> Digest:
    year, number = period.split("-Q")
    first = {"1": "01-01", "2": "04-01", "3": "07-01", "4": "10-01"}[number]
    last = {"1": "03-31", "2": "06-30", "3": "09-30", "4": "12-31"}[number]
    cell = make_cell("total", title="All incidents", value=total, low=total - 5, high=total + 5)
    days = {"period": period, "first_day": f"{year}-{first}", "last_day": f"{year}-{last}"}
    return make_digest(**{"synthetic": False, "total": cell, **days, **changes})


def make_waiting(period: str) -> Digest:
    changes = {"status": "waiting", "recommendations": [], "epsilon_micro": 0}
    digest = make_quarter(period, total=9, **changes)
    return msgspec.structs.replace(digest, total=None, tables=[table for table in digest.tables if table.exact])


SPRING = make_quarter("2026-Q2", total=40, tables=[make_kinds(grooming=30, secret=9)])
SUMMER = make_quarter("2026-Q3", total=80, tables=[make_kinds(grooming=60, secret=12), *make_digest().tables[1:]])


def read_summary(digest: Digest, *kept: Digest) -> dict[str, str]:
    return dict(make_digest_page(digest, kept=kept).summary)


def test_a_change_is_told_beside_the_smallest_one_that_would_be_noticed() -> None:
    told = read_summary(SUMMER, SPRING)["What changed"]
    assert told == (
        "More incidents than in April to June 2026 (about 40). We would notice a change of about 32. More of: grooming."
    )
    calm = read_summary(make_quarter("2026-Q3", total=62), SPRING)["What changed"]
    assert calm.startswith("No clear change in the number of incidents from the one in April to June 2026 (about 40).")
    assert "We would notice a change of about 30." in calm
    assert "no earlier digest" in read_summary(SUMMER)["What changed"]


@pytest.mark.parametrize(
    ("now", "before", "told"),
    [
        ((276, 6), (299, 6), "unclear"),  # the ranges are apart, and such a number does that by itself
        ((500, 6), (402, 6), "up"),
        ((402, 6), (500, 6), "down"),
        ((474, 6), (402, 6), "unclear"),  # clear alone, and not among nine lines
        ((500, 40), (402, 40), "unclear"),  # with more noise
        ((61, 0), (60, 0), "up"),  # exact: a fact
        ((60, 0), (60, 0), "unclear"),
    ],
)
def test_a_change_is_told_where_neither_noise_nor_the_numbers_own_variation_explains_it(
    now: tuple[int, int], before: tuple[int, int], told: str
) -> None:
    cells = [
        make_cell("x", title="X", value=value, low=value - reach, high=value + reach) for value, reach in (now, before)
    ]
    assert judge_change(*cells) == told


def test_numbers_of_the_same_rate_are_seldom_told_as_a_change() -> None:
    """Counts of one rate with noise of a quarter's kinds: a table of nine in at most one of twenty digests, seeded."""
    source, told = random.Random(1), 0
    for _ in range(2000):
        values = [sum(source.random() < 0.3 for _ in range(1000)) + round(source.gauss(0, 2.5)) for _ in range(2)]
        cells = [make_cell("x", title="X", value=value, low=value - 6, high=value + 6) for value in values]
        told += judge_change(*cells) != "unclear"
    assert told <= 2000 * 0.05 / 9


def test_summary_names_what_the_exact_figures_ask_of_the_partner() -> None:
    exact = [
        DigestTable("questions", "Q", True, 0, 1, [make_exact_cell("open", title="Open", value=1)], ""),
        DigestTable("checks", "C", True, 0, 1, [make_exact_cell("faults", title="Faults", value=2)], ""),
    ]
    words = "1 of our questions has no answer yet. 2 checks of your button found a fault."
    waiting = make_waiting("2026-Q1")
    for digest in (SUMMER, waiting):
        assert "What to look at" not in read_summary(digest)
        changed = msgspec.structs.replace(digest, tables=[*digest.tables, *exact])
        assert read_summary(changed)["What to look at"] == words
    assert "the year 2026" in read_summary(waiting)["No figures this time"]


def test_summary_of_a_year_names_the_largest_known_answer_of_each_fact() -> None:
    def make_facts(name: str, title: str, **values: int) -> DigestTable:
        cells = [
            make_cell(label, title=label.replace("_", " ").capitalize(), value=value, low=value - 3, high=value + 3)
            for label, value in values.items()
        ]
        return DigestTable(name, title, False, 1, 1, cells, "")

    facts = [
        make_facts("moved_to", "Where the talk was moved to", messenger=40, game=20, not_stated=90),
        make_facts("blackmail", "Blackmail", none=80, with_money=30, other=9),
        make_facts("posed_as", "Who it was", not_stated=90),
        make_facts("first_contact", "Where", comments=41, game=40),  # either may be the larger one
        make_facts("age_band", "Age", teen=90),
    ]
    digest = msgspec.structs.replace(SUMMER, tables=[*SUMMER.tables, *facts], epsilon_micro=1_000_000)
    words = "Where the talk was moved to: messenger (about 40). Blackmail: with money (about 30)."
    assert read_summary(digest)["How it went"] == words
    assert "How it went" not in read_summary(SUMMER)


def test_only_digests_of_one_partner_span_and_world_stand_beside_each_other() -> None:
    others = [
        msgspec.structs.replace(SPRING, synthetic=True),
        msgspec.structs.replace(SPRING, environment="sandbox"),
        msgspec.structs.replace(SPRING, partner="other-chat"),
        msgspec.structs.replace(SPRING, span="year", period="2025"),
        SUMMER,
    ]
    again = msgspec.structs.replace(SPRING, made_at="2026-12-01T00:00:00Z")
    assert list_earlier(SUMMER, [*others, SPRING, again]) == [SPRING]  # of two for one period the first counts
    long = [make_quarter(f"20{year}-Q{quarter}", total=9) for year in range(10, 26) for quarter in range(1, 5)]
    assert [one.period for one in list_earlier(SUMMER, reversed(long))] == [
        *("2024-Q2", "2024-Q3", "2024-Q4", "2025-Q1", "2025-Q2", "2025-Q3", "2025-Q4")
    ]


def test_rows_carry_their_caveats_in_every_form() -> None:
    rows = SUMMER.to_rows()
    assert {"period", "table", "label", "title", "value", "low", "high", "exact", "note"} <= rows[0].keys()
    assert [row["table"] for row in rows] == ["total", "kind", "kind", "weakness", "weakness", "own"]
    for row in rows:
        assert all(one is None or isinstance(one, str | int) for one in row.values())  # flat, for a data frame
        assert ("95 % certainty" in str(row["note"])) != row["exact"]
    hidden = next(row for row in rows if row["value"] is None)
    assert "Few: chance could have made it" in str(hidden["note"])
    assert "half for each" in str(hidden["note"])
    assert all(str(row["note"]).startswith("SYNTHETIC") for row in make_digest().to_rows())
    read = list(csv.DictReader(io.StringIO(format_rows(rows))))
    assert [row["note"] for row in read] == [row["note"] for row in rows]
    assert [row["exact"] for row in read] == ["no"] * 5 + ["yes"]


def test_rows_of_changes_stand_beside_the_period_before() -> None:
    rows = {(row["period"], row["label"]): row for row in list_changes([SUMMER, SPRING])}
    assert rows["2026-Q2", "grooming"]["change"] == "first"
    now = rows["2026-Q3", "grooming"]
    assert (now["change"], now["before"], now["value_before"], now["high_before"]) == ("up", "2026-Q2", 30, 35)
    unclear = rows["2026-Q3", "secret"]
    assert (unclear["change"], unclear["noticeable"]) == ("unclear", 17)
    assert "We would notice a change of about 17" in unclear["note"]
    assert len({tuple(row) for row in rows.values()}) == 1  # the same columns in each, as a data frame needs


def test_an_advice_carries_its_reason_its_change_and_its_sureness() -> None:
    page = render_page(SUMMER)
    for words in (
        "Strangers can write to children directly",
        "Close them by default.",
        "Services let a child decline a request unseen.",
        "Often named: about 14 of 100 incidents. Its number below is about 11 (between 5 and 18)",
        "about 60 beside 1 of yours",
    ):
        assert words in page
    calm = make_quarter("2026-Q3", total=80, recommendations=[], tables=SUMMER.tables)
    assert "That does not mean that there is none" in read_summary(calm)["What is often named"]


def test_a_number_that_is_not_shown_has_no_bar() -> None:
    figures = [block for section in make_digest_page(SUMMER).sections for block in section.blocks]
    weak = next(block for block in figures if isinstance(block, Figure) and block.head == "Weakness")
    assert [bar.title for bar in weak.bars] == ["Strangers can write to children directly"]
    assert weak.rest == "Few, because chance alone could have made the number: Slow response."


def test_few_incidents_are_called_few() -> None:
    assert "trust the largest lines only" in read_summary(make_quarter("2026-Q3", total=12))["How sure we are"]
    assert "Large lines are reliable" in read_summary(SUMMER)["How sure we are"]


def test_a_digest_that_waits_explains_why_and_is_a_gap_in_the_next_one() -> None:
    page = render_page(make_waiting("2026-Q1"))
    assert "too few reports in January to March 2026" in page
    assert "The digest of the year 2026 will count them too." in page
    assert "Sent" in page
    [grid] = [
        block
        for section in make_digest_page(SUMMER, kept=[make_waiting("2026-Q1"), SPRING]).sections
        for block in section.blocks
        if isinstance(block, Grid) and block.title == "Kinds beside the periods before"
    ]
    assert grid.columns == ("Q1 2026", "Q2 2026", "Q3 2026")
    assert grid.rows[0] == ("All incidents", "more", ("too few", "40 (35 to 45)", "80 (75 to 85)"))


class Loads(HTMLParser):
    """Collects every tag and every attribute that could load something or run."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


def test_the_page_loads_and_runs_nothing_even_with_markup_in_a_title() -> None:
    tables = [msgspec.structs.replace(make_kinds(grooming=30), title=HOSTILE, note=HOSTILE)]
    advice = [msgspec.structs.replace(make_digest().recommendations[0], change=HOSTILE, weakness=HOSTILE)]
    page = render_page(
        make_quarter("2026-Q3", total=30, tables=tables, recommendations=advice, missing_tables=[HOSTILE])
    )
    found = Loads(page)
    assert {"article", "svg", "rect", "table"} <= found.tags
    assert not found.tags & {"script", "img", "link", "iframe", "object", "form", "a", "base", "use", "image"}
    assert not {name for name in found.attributes if name.startswith("on")} | (
        found.attributes & {"src", "href", "style", "srcset", "xlink:href", "action", "data"}
    )
    assert "url(" not in page
    assert re.search(r"default-src 'none'; style-src 'sha256-[A-Za-z0-9+/=]{44}'\"", page)


def fetch(line: Terminal, house: House, digest: Digest) -> None:
    post_to(house, make_post(1, body=to_base64url(encode(digest)), kind="digest"))
    assert line.run("inbox") == 0


def test_a_period_that_is_not_published_is_told_apart_from_one_that_has_not_come(line: Terminal, house: House) -> None:
    notice = DigestNotice("live", "example-chat", "2026-Q2")
    post_to(house, make_post(1, body=to_base64url(encode(notice)), kind="digest-not-published"))
    assert line.run("digest", "--period", "2026-Q2") == EXIT_FAILED
    assert "has decided not to publish" in line.err
    assert line.run("digest", "--offline", "--period", "2026-Q1") == EXIT_FAILED
    assert "No digest has arrived for that period." in line.err


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with open_chromium() as browser:
        file = tmp_path_factory.mktemp("digest") / "digest.html"
        file.write_text(render_page(SUMMER, kept=[make_waiting("2026-Q1"), SPRING]), encoding="utf-8")
        context = browser.new_context(viewport={"width": 320, "height": 600})
        page = context.new_page()
        page.goto(file.as_uri())
        yield page
        context.close()


def test_the_page_has_no_accessibility_fault_light_or_dark_and_fits_320_pixels(pages: Any) -> None:
    asked: list[str] = []
    pages.on("request", lambda request: asked.append(request.url))
    for scheme in ("light", "dark"):
        pages.emulate_media(color_scheme=scheme)
        pages.evaluate(AXE_SCRIPT)
        assert pages.evaluate(AXE_FAULTS, AXE_TAGS) == []
        assert pages.evaluate("document.documentElement.scrollWidth") == 320
    assert pages.evaluate("getComputedStyle(document.querySelector('.digest .range rect')).fill") != "rgb(0, 0, 0)"
    assert asked == []
