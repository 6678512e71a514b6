"""Words typed at a door come out at the desk byte for byte, and are nowhere in the gateway's files."""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from gateway.demo.form_walk import walk_form
from gateway.demo.loop import ANSWERS, Loop
from gateway.public.journey import FIELD_BY_NAME, TYPED
from partner_sdk.wire.envelope import PUBLIC_ENVELOPE_BYTES
from tests.builders import EXAMPLE_REPORT
from tests.gateway.public.walks import LONG_WAY, flatten

MARKER = "Zq7-Marker-ŵ😀"
# The longest way through the form, with the marker in everything that is typed.
MARKED_FIELDS = [name for name in flatten(LONG_WAY) if FIELD_BY_NAME[name].kind in TYPED]
PUBLIC_ANSWERS: dict[str, tuple[str, ...]] = {
    **{name: tuple(value) for name, value in flatten(LONG_WAY).items()},
    **{name: (f"{MARKER} {name}\r\n line 2" if name == "story" else f"{MARKER} {name}",) for name in MARKED_FIELDS},
}


class RecordingSession(requests.Session):
    """Keeps every address and cookie that a walk uses."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def send(self, request: requests.PreparedRequest, **settings: Any) -> requests.Response:
        response = super().send(request, **settings)
        self.seen += [str(request.url), str(request.headers.get("Cookie")), str(response.headers)]
        return response


def marked_report(value: Any, path: str = "") -> Any:
    """Return the example report with the marker in every free text."""
    free = {"narrative", "time_meaning", "priority_reason", "organisation", "service", "submitter_name"}
    free |= {"submitter_email", "submitter_telephone", "service_user_id"}
    if isinstance(value, dict):
        return {name: marked_report(inner, name) for name, inner in value.items()}
    if isinstance(value, list):
        return [marked_report(inner, path) for inner in value]
    return f"{MARKER} {path}" if path in free else value


def texts_of(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from texts_of(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts_of(inner)
    elif isinstance(value, str):
        yield value


def spellings(marker: str) -> list[bytes]:
    """Return the ways in which a marker could be written down."""
    return [
        marker.encode(),
        marker.encode("utf-16-le"),
        json.dumps(marker)[1:-1].encode(),
        requests.utils.quote(marker).encode(),
        b"Zq7-Marker",
    ]


def files_of_the_gateway(loop: Loop) -> list[Path]:
    found = [path for path in loop.gateway_state.rglob("*") if path.is_file()]
    return [*found, *loop.folder.joinpath("logs").glob("gateway.log")]


@pytest.fixture(scope="module")
def circle(loop: Loop, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """One marked report through each door, collected and opened at the desk."""
    session = RecordingSession()
    public_reference = walk_form(loop.origin, PUBLIC_ANSWERS, session=session)
    file = tmp_path_factory.mktemp("report") / "report.json"
    report = marked_report(json.loads(EXAMPLE_REPORT.read_bytes()))
    file.write_text(json.dumps(report), encoding="utf-8")
    sent = loop.submit_industry_report(file)
    before_collecting = [path.read_bytes() for path in files_of_the_gateway(loop)]
    loop.collect()
    return {
        "public": json.loads(loop.run_desk("case", "show", public_reference, "--json")),
        "industry": json.loads(loop.run_desk("case", "show", sent["reference"], "--json")),
        "report": report,
        "addresses_and_cookies": session.seen,
        "before_collecting": before_collecting,
    }


def test_every_typed_answer_comes_out_at_the_desk_byte_for_byte(circle: dict[str, Any]) -> None:
    texts = set(texts_of(circle["public"]))
    assert len(MARKED_FIELDS) == 24
    for name in MARKED_FIELDS:
        assert PUBLIC_ANSWERS[name][0] in texts, name


def test_every_field_of_an_industry_report_comes_out_at_the_desk_byte_for_byte(circle: dict[str, Any]) -> None:
    sent = [text for text in texts_of(circle["report"]) if MARKER in text]
    assert len(sent) == 9
    assert set(sent) <= set(texts_of(circle["industry"]))


def test_marker_is_in_no_file_of_the_gateway_before_or_after_collecting(loop: Loop, circle: dict[str, Any]) -> None:
    paths = files_of_the_gateway(loop)
    names = {path.name for path in paths}
    assert {"gateway.sqlite", "gateway.sqlite-wal", "gateway.log", "gateway.toml"} <= names
    after = [path.read_bytes() for path in paths]
    assert sum(map(len, circle["before_collecting"])) > PUBLIC_ENVELOPE_BYTES
    for spelling in spellings(MARKER):
        assert not any(spelling in raw for raw in [*circle["before_collecting"], *after]), spelling


def test_marker_is_in_no_address_and_no_cookie(circle: dict[str, Any]) -> None:
    assert len(circle["addresses_and_cookies"]) > 20
    for spelling in spellings(MARKER):
        assert not any(spelling in text.encode() for text in circle["addresses_and_cookies"])


def test_log_of_the_gateway_tells_neither_address_nor_agent_nor_path(loop: Loop, circle: dict[str, Any]) -> None:
    said = loop.folder.joinpath("logs", "gateway.log").read_text().splitlines()
    # The command itself names the addresses that it serves, before the first request.
    lines = [json.loads(line) for line in said if line.startswith("{")]
    assert len(said) - len(lines) <= 3
    assert len(lines) > 20
    text = json.dumps(lines)
    assert "127.0.0.1" not in text
    assert "python-requests" not in text
    assert "?" not in text


def test_one_word_and_five_thousand_emoji_are_stored_at_the_same_size(loop: Loop) -> None:
    def sizes() -> list[int]:
        with sqlite3.connect(f"file:{loop.gateway_state}/gateway.sqlite?mode=ro", uri=True) as database:
            rows = database.execute("SELECT length(envelope) FROM reports WHERE door = 'public' ORDER BY position")
            found = [size for (size,) in rows]
        database.close()
        return found

    before = len(sizes())
    for story in ("help", "😀" * 5000):
        walk_form(loop.origin, {**ANSWERS, "story": (story,)})
    assert sizes()[before:] == [PUBLIC_ENVELOPE_BYTES] * 2


def test_partner_finds_its_receipts_in_the_public_log_that_serve_publishes(loop: Loop) -> None:
    found = loop.run_partner("receipt", "verify", "--all", "--online", "--json")
    assert found["differing"] == []
    assert found["log"]["reason"] is None
    assert found["log"]["size"] >= 16
