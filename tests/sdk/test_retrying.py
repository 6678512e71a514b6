"""Only passing failures are tried again, within bounds, and never sooner than the gateway asked."""

from collections.abc import Callable

import pytest

from partner_sdk.client.exchange import RetryPolicy, send_patiently
from partner_sdk.client.http import make_problem_error
from partner_sdk.errors import ConflictError, ReportAbuseError, TransportError

NO_REPLY = TransportError("no", reason="timeout")


def refusal(status: int, retry_after: str | None = None) -> ReportAbuseError:
    return make_problem_error(status, b"", media_type="", retry_after=retry_after)


class Tries:
    """Fails with each error in turn, then returns "done"; keeps the waits."""

    def __init__(self, *errors: ReportAbuseError) -> None:
        self.errors = list(errors)
        self.count = 0
        self.waits: list[float] = []

    def send(self) -> str:
        self.count += 1
        if self.errors:
            raise self.errors.pop(0)
        return "done"

    def run(self, jitter: Callable[[], float] = lambda: 1.0, **settings: float) -> str:
        policy = RetryPolicy(**settings)
        return send_patiently(self.send, policy=policy, sleep=self.waits.append, jitter=jitter, on_wait=lambda *_: None)


@pytest.mark.parametrize("error", [NO_REPLY, refusal(500), refusal(503), refusal(429)])
def test_passing_failure_is_tried_again(error: ReportAbuseError) -> None:
    tries = Tries(error)
    assert tries.run() == "done"
    assert (tries.count, tries.waits) == (2, [0.5])


@pytest.mark.parametrize("status", [302, 400, 401, 404, 409, 413, 422])
def test_refusal_is_not_tried_again(status: int) -> None:
    tries = Tries(refusal(status))
    with pytest.raises(ReportAbuseError):
        tries.run()
    assert (tries.count, tries.waits) == (1, [])


def test_waits_grow_and_end() -> None:
    tries = Tries(*[NO_REPLY] * 9)
    with pytest.raises(TransportError):
        tries.run(tries=5, longest_wait_seconds=1.5)
    assert (tries.count, tries.waits) == (5, [0.5, 1.0, 1.5, 1.5])


def test_wait_is_a_random_share_of_its_span() -> None:
    tries = Tries(NO_REPLY)
    tries.run(jitter=lambda: 0.25)
    assert tries.waits == [0.125]


def test_wait_is_never_shorter_than_the_gateway_asks() -> None:
    tries = Tries(refusal(429, "20"))
    tries.run(jitter=lambda: 0.0)
    assert tries.waits == [20.0]


def test_error_comes_at_once_when_the_gateway_asks_for_more_than_the_patience() -> None:
    tries = Tries(refusal(503, "3600"))
    with pytest.raises(ReportAbuseError) as caught:
        tries.run()
    assert caught.value.retry_after_seconds == 3600
    assert (tries.count, tries.waits) == (1, [])


def test_time_that_the_tries_take_counts_against_the_patience() -> None:
    moments = iter([0.0, 60.0, 119.0])
    tries = Tries(*[NO_REPLY] * 9)
    with pytest.raises(TransportError):
        send_patiently(
            tries.send,
            policy=RetryPolicy(patience_seconds=119.9),
            sleep=tries.waits.append,
            jitter=lambda: 1.0,
            on_wait=lambda *_: None,
            count_seconds=lambda: next(moments),
        )
    assert (tries.count, tries.waits) == (2, [0.5])


def test_conflict_after_a_lost_reply_is_raised() -> None:
    tries = Tries(NO_REPLY, refusal(409))
    with pytest.raises(ConflictError):
        tries.run()
    assert tries.count == 2
