"""Waiting for messages: each delivery as it comes, over outages, and never in a hurry."""

import json
from collections.abc import Callable, Iterator

import pytest
import requests
from requests.adapters import BaseAdapter

from partner_sdk.client.mailbox import (
    EARLY_PAUSE_SECONDS,
    LONGEST_PAUSE_SECONDS,
    Delivery,
    MailboxAlarm,
    OpenedMessage,
    wait_for_deliveries,
)
from partner_sdk.errors import NotAuthorisedError, TransportError, UnavailableError
from partner_sdk.lazy_group import INTERRUPTED
from partner_sdk.wire.mailbox import MAX_WAIT_SECONDS
from tests.builders import House
from tests.sdk.client.test_client import make_digest_message
from tests.sdk.mailbox_builders import make_post, post_to
from tests.sdk.sdk_builders import Terminal

NOTHING = Delivery((), ())
AWAY = TransportError("The gateway did not answer in time.", reason="timeout")
WAIT_SECONDS = 20


class Line:
    """A scripted mailbox: each step is a delivery or an error, and the seconds that it took; no time passes."""

    def __init__(self, *steps: tuple[Delivery | Exception, float], jitter: float = 1.0) -> None:
        self.steps = list(steps)
        self.jitter = jitter
        self.now = 0.0
        self.slept: list[float] = []
        self.said: list[str] = []

    def collect(self) -> Delivery:
        found, seconds = self.steps.pop(0)
        self.now += seconds
        if isinstance(found, Exception):
            raise found
        return found

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def wait(self, *, for_seconds: float | None = None) -> Iterator[Delivery]:
        return wait_for_deliveries(
            self.collect,
            wait_seconds=WAIT_SECONDS,
            for_seconds=for_seconds,
            sleep=self.sleep,
            jitter=lambda: self.jitter,
            notify=self.said.append,
            count_seconds=lambda: self.now,
        )


def make_delivery(**changes: object) -> Delivery:
    opened: OpenedMessage = make_digest_message(**changes)
    return Delivery((opened,), ())


def test_delivery_is_yielded_as_it_comes_and_the_next_wait_begins_at_once() -> None:
    first, second = make_delivery(), make_delivery()
    line = Line((NOTHING, WAIT_SECONDS), (first, 3), (second, 0))
    waiting = line.wait()
    assert (next(waiting), next(waiting)) == (first, second)
    assert line.slept == []


def test_outage_is_waited_out_with_growing_pauses_that_a_success_ends() -> None:
    found = make_delivery()
    line = Line(*[(AWAY, 1.0)] * 8, (found, 0), (AWAY, 1.0), (found, 0))
    waiting = line.wait()
    assert (next(waiting), next(waiting)) == (found, found)
    assert line.slept[:3] == [2, 4, 8]
    assert max(line.slept) == LONGEST_PAUSE_SECONDS
    assert line.slept[-1] == line.slept[0]
    assert len(line.said) == len(line.slept)


def test_outage_of_a_day_is_waited_out() -> None:
    found = make_delivery()
    line = Line(*[(AWAY, 1.0)] * 2000, (found, 0))
    assert next(line.wait()) is found
    assert line.now > 86_400


def test_gateway_that_names_a_time_is_not_asked_before_it() -> None:
    busy = UnavailableError(
        type="about:blank", title="No.", status=503, detail="", request_id=None, retry_after_seconds=90
    )
    line = Line((busy, 0), (make_delivery(), 0), jitter=0.0)
    next(line.wait())
    assert line.slept[0] >= 90


def test_error_that_will_not_pass_ends_the_wait() -> None:
    refused = NotAuthorisedError(type="about:blank", title="No.", status=401, detail="", request_id=None)
    with pytest.raises(NotAuthorisedError):
        next(Line((refused, 0)).wait())


def test_empty_answer_that_comes_early_is_not_asked_for_again_at_once() -> None:
    line = Line((NOTHING, 0), (Delivery((), (), 30), 0), (make_delivery(), 0))
    next(line.wait())
    assert line.slept == [2 * EARLY_PAUSE_SECONDS, 60]


def test_alarm_that_stays_is_yielded_once_and_the_wait_ends_at_its_time() -> None:
    alarm = Delivery((), (MailboxAlarm("gap", "1 message(s) never arrived: number 2."),))
    line = Line((alarm, 1), *[(alarm, WAIT_SECONDS)] * 3)
    assert list(line.wait(for_seconds=2 * WAIT_SECONDS + 2)) == [alarm]


class Stopping(BaseAdapter):
    """Passes requests on; the mailbox is away at first, and then a person presses Ctrl-C."""

    def __init__(self, adapter: BaseAdapter, *, on_ask: Callable[[int], None]) -> None:
        super().__init__()
        self.adapter, self.on_ask, self.asked = adapter, on_ask, list[str]()

    def send(self, request: requests.PreparedRequest, **settings: object) -> requests.Response:
        if request.path_url.startswith("/v1/mailbox?"):
            self.asked.append(request.path_url)
            self.on_ask(len(self.asked))
        return self.adapter.send(request, **settings)

    def close(self) -> None:
        self.adapter.close()


@pytest.mark.parametrize("words", [(), ("--wait", "9")])
def test_inbox_watch_prints_a_line_for_each_message_over_an_outage_until_ctrl_c(
    line: Terminal, house: House, words: tuple[str, ...]
) -> None:
    def on_ask(number: int) -> None:
        if number == 1:
            raise requests.ConnectionError
        if number == 2:
            post_to(house, make_post(1))
        if number == 4:
            raise KeyboardInterrupt

    wire = line.adapter = Stopping(line.adapter, on_ask=on_ask)
    assert line.run("inbox", "--watch", *words) == INTERRUPTED
    assert set(wire.asked) == {f"/v1/mailbox?wait={9 if '--wait' in words else MAX_WAIT_SECONDS}"}
    (shown,) = line.out.splitlines()
    assert json.loads(shown)["message"]["number"] == 1
    assert "Asking again" in line.err
    assert "Traceback" not in line.err


def test_watch_goes_alone(line: Terminal) -> None:
    assert line.run("inbox", "--watch", "--all") == 2
    assert line.run("inbox", "--wait", "5") == 2
    assert line.run("inbox", "--watch", "--wait", "26") == 2
