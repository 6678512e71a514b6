"""The log: one logger, the events of one table, and never a word of a report; and the client beside an event loop."""

import asyncio
import logging
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from partner_sdk.client.exchange import EVENTS, LOGGER, log_event
from tests.builders import House
from tests.house.sources import ROOT
from tests.sdk.client.test_client import KEYS, RAW, ReceivingGateway, open_client
from tests.sdk.mailbox_builders import make_post, post_to
from tests.sdk.sdk_builders import Terminal

MARKER = b"Zanzibar-marker"


def test_documented_events_are_those_of_the_table() -> None:
    table = (ROOT / "partner_sdk/README.md").read_text("utf-8").split("| Event | Level | Fields |")[1].split("\n\n")[0]
    rows = re.findall(r"^\| `([a-z-]+)` \| ([A-Z]+) \| (.*) \|$", table, re.MULTILINE)
    found = {name: (getattr(logging, level), tuple(re.findall("`([a-z_]+)`", fields))) for name, level, fields in rows}
    assert found == EVENTS


def test_other_fields_and_events_are_refused() -> None:
    with pytest.raises(ValueError, match="report_id, reference"):
        log_event("report-delivered", report_id="1")
    with pytest.raises(KeyError):
        log_event("report-opened")


def test_no_line_holds_a_word_of_a_report_and_each_names_its_event(
    tmp_path: Path, line: Terminal, house: House, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    raw = RAW.replace(b'"priority_reason": "', b'"priority_reason": "' + MARKER + b" ")
    assert MARKER in raw
    client = open_client(tmp_path / "p", ReceivingGateway(KEYS, TimeoutError()))
    first = client.submit(raw, priority="P1")
    client.submit(raw, priority="P1")
    post_to(house, make_post(1), make_post(3, previous="ab" * 32))
    assert line.run("inbox") == 4
    records = [record for record in caplog.records if record.name == LOGGER.name]
    assert {record.event for record in records} >= {
        "report-sealed",
        "report-delivered",
        "report-repeated",
        "key-set-fetched",
        "trying-again",
        "message-saved",
        "mailbox-alarm",
    }
    assert MARKER.decode() not in caplog.text
    delivered = next(record for record in records if record.event == "report-delivered")
    assert delivered.fields == {"report_id": first.report_id, "reference": first.reference}
    assert delivered.getMessage() == f"report-delivered report_id={first.report_id} reference={first.reference}"


def test_program_that_configures_no_logging_reads_nothing_of_it() -> None:
    code = "from partner_sdk.client.exchange import log_event\nlog_event('mailbox-alarm', reason='gap')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert (done.stdout, done.stderr) == ("", "")


def test_report_is_sent_from_a_thread_beside_an_event_loop(tmp_path: Path) -> None:
    partner = open_client(tmp_path / "p", ReceivingGateway(KEYS))

    async def send() -> str:
        with ThreadPoolExecutor(1) as pool:
            loop = asyncio.get_running_loop()
            receipt = await loop.run_in_executor(pool, partial(partner.submit, RAW, priority="P2"))
        return receipt.reference

    assert asyncio.run(send()) == "K7QF-2M9TX-D"
