"""The authentication step that both doors share, where it needs more than a client can send by itself."""

import base64
import hashlib

import pytest
from flask import Flask

from gateway.config import MEMORY_URI
from gateway.limits import open_shared_store
from gateway.signed_request import check_path, check_signature
from gateway.web.rules import RequestRefusedError
from partner_sdk.errors import SignatureProfileError
from partner_sdk.wire import problems
from partner_sdk.wire.signing import key_id_of
from tests.builders import FEED_ORIGIN, NOW, PUBLIC_ORIGIN, Door, House, Partner, sign_request
from tests.problem_shape import check_problem

CURVE_ORDER = 2**252 + 27742317777372353535851937790883648493  # RFC 8032 §5.1
BASE_POINT = bytes.fromhex("58" + "66" * 31)


def forge_for_the_base_point(message: bytes) -> bytes:
    """Sign with the secret scalar 1, whose public key is the base point itself: no secret is needed."""
    digest = hashlib.sha512(BASE_POINT + BASE_POINT + message).digest()
    number = (1 + int.from_bytes(digest, "little")) % CURVE_ORDER
    return BASE_POINT + number.to_bytes(32, "little")


def forged_headers(url: str) -> dict[str, str]:
    parameters = (
        f'("@method" "@target-uri");created={int(NOW.timestamp())};keyid="AAAAAAAAAAA"'
        ';alg="ed25519";nonce="nonce-of-a-test-0";tag="report-abuse"'
    )
    base = f'"@method": GET\n"@target-uri": {url}\n"@signature-params": {parameters}'
    signature = base64.b64encode(forge_for_the_base_point(base.encode())).decode()
    return {"Signature-Input": f"sig1={parameters}", "Signature": f"sig1=:{signature}:"}


@pytest.mark.parametrize(("door", "path"), [("feed", "/feed/status"), ("industry", "/v1/mailbox")])
def test_key_that_stands_in_for_unknown_ones_lets_nobody_in(door: str, path: str, house: House):
    """An unknown key costs the same time as a known one: a stand-in is checked, and must not be a back door."""
    origin = FEED_ORIGIN if door == "feed" else PUBLIC_ORIGIN
    app = house.open_app("feed" if door == "feed" else "industry")

    answer = Door(app, origin, house.clock).get(path, headers=forged_headers(origin + path))

    check_problem(answer, problems.NOT_AUTHORISED, origin=origin)


def test_forged_signature_would_hold_for_the_stand_in():
    """The test above proves nothing unless its forgery is a real one."""
    url = f"{FEED_ORIGIN}/feed/status"
    asked = []

    def find_key(key_id: str) -> bytes:
        asked.append(key_id)
        return BASE_POINT

    with Flask(__name__).test_request_context("/feed/status", headers=forged_headers(url)):
        claim = check_signature(origin=FEED_ORIGIN, find_key=find_key, now=NOW, shared=open_shared_store(MEMORY_URI))

    assert (asked, claim.key_id) == (["AAAAAAAAAAA"], "AAAAAAAAAAA")


def test_unknown_key_is_refused_by_the_step_itself():
    url = f"{FEED_ORIGIN}/feed/status"
    with (
        Flask(__name__).test_request_context("/feed/status", headers=forged_headers(url)),
        pytest.raises(SignatureProfileError),
    ):
        check_signature(origin=FEED_ORIGIN, find_key=lambda _: None, now=NOW, shared=open_shared_store(MEMORY_URI))


def test_right_key_under_another_id_is_refused(house: House):
    feed_key, other = house.agency.feed_key, Partner("stranger").submission_key
    url = f"{FEED_ORIGIN}/feed/status"
    headers = sign_request("GET", url, body=None, private_key=feed_key)
    own_id, other_id = (key_id_of(key.public_key().public_bytes_raw()) for key in (feed_key, other))
    base = f'"@method": GET\n"@target-uri": {url}\n"@signature-params": '
    parameters = headers["Signature-Input"].removeprefix("sig1=").replace(own_id, other_id)
    signature = base64.b64encode(feed_key.sign((base + parameters).encode())).decode()
    headers = {"Signature-Input": f"sig1={parameters}", "Signature": f"sig1=:{signature}:"}

    answer = Door(house.open_app("feed"), FEED_ORIGIN, house.clock).get("/feed/status", headers=headers)

    check_problem(answer, problems.NOT_AUTHORISED, origin=FEED_ORIGIN)


@pytest.mark.parametrize(
    ("environ", "is_refused"),
    [
        # A server that hands over only the decoded path, as granian does.
        ({"PATH_INFO": "/v1/reports/abc-1._~"}, False),
        ({"PATH_INFO": "/v1/reports/%41"}, True),
        ({"PATH_INFO": "/v1/reports/a b"}, True),
        ({"PATH_INFO": "/v1/reports/caf\u00c3\u00a9"}, True),
        ({"PATH_INFO": "/v1/reports/a\n"}, True),
        # A server that hands over the raw one too.
        ({"PATH_INFO": "/v1/status", "RAW_URI": "/v1/status?a=%41"}, False),
        ({"PATH_INFO": "/v1/status", "RAW_URI": "/v1/st%61tus"}, True),
        ({"PATH_INFO": "/v1/status", "REQUEST_URI": "/v1/st%61tus"}, True),
    ],
)
def test_path_has_one_spelling_whatever_the_server_hands_over(environ: dict[str, str], is_refused: bool):
    with Flask(__name__).test_request_context("/") as context:
        for name in ("RAW_URI", "REQUEST_URI"):
            context.request.environ.pop(name, None)
        context.request.environ.update(environ)
        if is_refused:
            with pytest.raises(RequestRefusedError):
                check_path()
        else:
            check_path()


def test_body_is_not_read_before_the_headers_are_believed(house: House, partner: Partner):
    """A stranger must not make the gateway read, keep or hash a byte."""

    class UnreadableBody:
        def read(self, *_: object) -> bytes:
            raise AssertionError("the body was read")

        readline = readinto = read

    app = house.open_app("industry")
    headers = sign_request(
        "POST", f"{PUBLIC_ORIGIN}/v1/reports", body=b"{}", private_key=Partner("stranger").submission_key
    )
    status: list[str] = []
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/v1/reports",
        "QUERY_STRING": "",
        "SERVER_NAME": "report.example",
        "SERVER_PORT": "443",
        "wsgi.url_scheme": "https",
        "wsgi.input": UnreadableBody(),
        "CONTENT_LENGTH": "2",
        "CONTENT_TYPE": "application/json",
        "HTTP_CONTENT_DIGEST": headers["Content-Digest"],
        "HTTP_SIGNATURE": headers["Signature"],
        "HTTP_SIGNATURE_INPUT": headers["Signature-Input"],
    }

    list(app(environ, lambda line, _headers, _error=None: status.append(line)))

    assert status == ["401 UNAUTHORIZED"]
