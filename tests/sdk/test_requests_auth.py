"""The client half of the request profile, judged by the strict checking half."""

from datetime import timedelta

import pytest
import requests

from partner_sdk.client.http import SignedRequestAuth
from partner_sdk.errors import SignatureProfileError
from partner_sdk.wire.signature_profile import check_claim, check_content_digest, parse_signature_headers
from partner_sdk.wire.statements import public_bytes
from tests.builders import NOW, Partner, StillClock

URL = "https://report.example/v1/reports"
KEY = Partner().submission_key


def signed(method: str = "POST", url: str = URL, body: bytes | None = b"{}", clock: StillClock | None = None):
    headers = {} if body is None else {"Content-Type": "application/json"}
    auth = SignedRequestAuth(KEY, clock=clock or StillClock())
    return requests.Request(method, url, data=body, headers=headers, auth=auth).prepare()


def claim_of(request: requests.PreparedRequest):
    return parse_signature_headers({name.lower(): value for name, value in request.headers.items()})


@pytest.mark.parametrize(
    ("method", "url", "body"),
    [
        ("GET", "https://report.example/v1/mailbox", None),
        ("GET", "https://feed.example/feed/items/report?limit=200", None),
        ("GET", "http://127.0.0.1:8701/feed/status", None),
        ("POST", URL, b"{}"),
        ("PUT", "https://feed.example/feed/lists/keys", b'{"a":1}'),
    ],
)
def test_signed_request_passes_the_strict_profile(method: str, url: str, body: bytes | None) -> None:
    claim = claim_of(signed(method, url, body))
    check_claim(claim, method=method, target_uri=url, has_body=body is not None, public_key=public_bytes(KEY), now=NOW)
    assert claim.covers_body is (body is not None)
    if body is not None:
        check_content_digest(claim, body=body)


def test_signature_names_method_address_type_digest_and_parameters_in_the_one_order() -> None:
    names = claim_of(signed()).parameters
    assert names.startswith('("@method" "@target-uri" "content-type" "content-digest");created=')
    places = [names.index(part) for part in (";created=", ";keyid=", ";alg=", ";nonce=", ";tag=")]
    assert places == sorted(places)


def test_signature_fails_when_the_address_is_another() -> None:
    with pytest.raises(SignatureProfileError):
        check_claim(
            claim_of(signed()),
            method="POST",
            target_uri=URL + "x",
            has_body=True,
            public_key=public_bytes(KEY),
            now=NOW,
        )


def test_each_signature_has_a_nonce_of_its_own() -> None:
    assert len({claim_of(signed()).nonce for _ in range(20)}) == 20


def test_created_is_the_time_of_the_given_clock() -> None:
    clock = StillClock(NOW + timedelta(hours=5))
    assert claim_of(signed(clock=clock)).created == int((NOW + timedelta(hours=5)).timestamp())


def test_body_of_text_is_refused() -> None:
    with pytest.raises(SignatureProfileError) as caught:
        signed(body="{}")
    assert caught.value.reason == "unsignable-body"


def test_body_of_another_type_is_refused() -> None:
    request = requests.Request("POST", URL, data=b"a=1", headers={"Content-Type": "text/plain"})
    with pytest.raises(SignatureProfileError) as caught:
        SignedRequestAuth(KEY, clock=StillClock())(request.prepare())
    assert caught.value.reason == "unsignable-body"


def test_nothing_but_the_signature_is_added() -> None:
    plain = requests.Request("GET", URL).prepare()
    added = set(signed("GET", body=None).headers) - set(plain.headers)
    assert added == {"Signature-Input", "Signature"}
