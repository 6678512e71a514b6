"""The desk's look at the gateway ends at its deadline: a gateway that drips bytes does not hold the desk."""

import time

import pytest

from gateway.desk.office import feed_client
from partner_sdk.client.exchange import Timeouts
from partner_sdk.client.transport import make_session
from partner_sdk.errors import TransportError
from tests.builders import Partner, StillClock
from tests.slow_server import BEGINNINGS, slow_server


@pytest.mark.parametrize("beginning", ["headers", "body"])
@pytest.mark.parametrize("session", [make_session, lambda: None])
def test_slow_gateway_does_not_hold_the_desk(monkeypatch: pytest.MonkeyPatch, beginning: str, session):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(feed_client, "TIMEOUTS", Timeouts(connect_seconds=5, read_seconds=5, total_seconds=0.5))
    with slow_server(BEGINNINGS[beginning], every_seconds=0.1) as port:
        client = feed_client.FeedClient(
            origin=f"http://127.0.0.1:{port}",
            private_key=Partner().submission_key,
            clock=StillClock(),
            session=session(),
        )
        started = time.monotonic()
        with pytest.raises(TransportError) as caught:
            client.get_status()
    assert caught.value.reason == "timeout"
    assert time.monotonic() - started < 1.5
