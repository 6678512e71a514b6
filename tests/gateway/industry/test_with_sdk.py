"""The SDK's own client against the door, through the adapter that needs no socket."""

import flask
import msgspec
import pytest
import requests

from gateway.testing.transport import WsgiTransport
from partner_sdk.client.transport import Transport
from partner_sdk.errors import ConflictError, NotAuthorisedError, RefusedError
from partner_sdk.wire.submission import ServiceStatus
from tests.builders import PUBLIC_ORIGIN, House, Partner, seal_report


def connect(house: House, partner: Partner | None) -> tuple[Transport, WsgiTransport]:
    adapter = WsgiTransport(house.open_app("industry"))
    session = requests.Session()
    session.mount("https://", adapter)
    key = None if partner is None else partner.submission_key
    return Transport(PUBLIC_ORIGIN, private_key=key, session=session, clock=house.clock), adapter


def test_sdk_submits_a_report_and_reads_its_stage(house: House, partner: Partner):
    transport, adapter = connect(house, partner)
    report = seal_report(partner, key=house.agency.sealing_key)

    sent = transport.send("POST", "/v1/reports", body=report.body)
    again = transport.send("POST", "/v1/reports", body=report.body)
    read = transport.send("GET", f"/v1/reports/{report.clear.report_id}")

    assert (sent.status, again.status, again.body == sent.body) == (201, 200, True)
    assert sent.body in read.body
    assert [request.method for request in adapter.requests] == ["POST", "POST", "GET"]
    assert len({request.headers["Signature"] for request in adapter.requests}) == 3


def test_sdk_learns_whom_the_gateway_takes_it_for(house: House, partner: Partner):
    transport, _ = connect(house, partner)

    status = msgspec.json.decode(transport.send("GET", "/v1/status").body, type=ServiceStatus)

    assert status.caller is not None
    assert status.caller.partner == partner.partner


def test_sdk_gets_problems_as_errors(house: House, partner: Partner):
    transport, _ = connect(house, partner)
    report = seal_report(partner, key=house.agency.sealing_key)
    other = seal_report(partner, key=house.agency.sealing_key, report_id=report.clear.report_id)
    transport.send("POST", "/v1/reports", body=report.body)

    with pytest.raises(ConflictError):
        transport.send("POST", "/v1/reports", body=other.body)
    with pytest.raises(RefusedError) as refused:
        transport.send("GET", "/v1/reports/unknown")
    with pytest.raises(NotAuthorisedError):
        connect(house, Partner("stranger"))[0].send("POST", "/v1/reports", body=report.body)
    assert refused.value.reason == "not-found"


def test_app_sees_the_scheme_that_the_adapter_was_given(house: House):
    seen = []
    app = house.open_app("industry")
    app.before_request(lambda: seen.append(flask.request.scheme))
    for https in (True, False):
        session = requests.Session()
        session.mount("https://", WsgiTransport(app, https=https))
        session.get("https://report.example/")
    assert seen == ["https", "http"]
