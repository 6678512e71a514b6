"""The request profile against a general RFC 9421 library: it accepts all that we accept, and much that we refuse."""

import base64
from dataclasses import dataclass
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from http_message_signatures import (
    HTTPMessageSigner,
    HTTPMessageVerifier,
    HTTPSignatureKeyResolver,
    InvalidSignature,
    algorithms,
)
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import utc_now
from gateway.exchange.request_signatures import (
    MAX_AGE_SECONDS,
    check_claim,
    check_content_digest,
    parse_signature_headers,
)
from partner_sdk.errors import SignatureProfileError
from partner_sdk.wire.signing import (
    COVERED_WITH_BODY,
    COVERED_WITHOUT_BODY,
    LABEL,
    TAG,
    content_digest,
    key_id_of,
    public_bytes,
)
from tests.builders import sign_request

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER_KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
PUBLIC_KEY = public_bytes(KEY)
KEY_ID = key_id_of(PUBLIC_KEY)
NOW = utc_now().replace(microsecond=0)
URL = "https://report.example/v1/reports"
BODY = b'{"a":1}'
NONCE = "abcdefghijklmnop"


@dataclass
class Message:
    """A request as the library wants to see one."""

    method: str
    url: str
    headers: dict[str, str]


class OneKey(HTTPSignatureKeyResolver):
    """Knows the one key of these tests."""

    def resolve_public_key(self, key_id):
        assert key_id == KEY_ID
        return KEY.public_key()

    def resolve_private_key(self, key_id):
        assert key_id == KEY_ID
        return KEY


def sign_with_library(*, method="POST", url=URL, body=BODY, created=NOW, covered=None, **changes):
    """Return the headers, in lower case, that the library makes with the settings of this profile or others."""
    headers = {} if body is None else {"Content-Type": "application/json", "Content-Digest": content_digest(body)}
    message = Message(method, url, headers)
    signer = HTTPMessageSigner(signature_algorithm=algorithms.ED25519, key_resolver=OneKey())
    if covered is None:
        covered = COVERED_WITHOUT_BODY if body is None else COVERED_WITH_BODY
    settings = {"nonce": NONCE, "label": LABEL, "tag": TAG, "use_existing_digest": body is not None, **changes}
    signer.sign(message, key_id=KEY_ID, created=created, covered_component_ids=covered, **settings)
    return {name.lower(): value for name, value in message.headers.items()}


def verify_with_library(headers, *, method="POST", url=URL, body=BODY):
    verifier = HTTPMessageVerifier(signature_algorithm=algorithms.ED25519, key_resolver=OneKey())
    return verifier.verify(
        Message(method, url, dict(headers)),
        max_age=timedelta(seconds=MAX_AGE_SECONDS),
        expect_tag=TAG,
        body=body,
    )


def verify_with_profile(headers, *, method="POST", url=URL, body=BODY, public_key=PUBLIC_KEY, now=NOW):
    claim = parse_signature_headers(headers)
    check_claim(claim, method=method, target_uri=url, has_body=body is not None, public_key=public_key, now=now)
    if body is not None:
        check_content_digest(claim, body=body)
    return claim


@pytest.mark.parametrize(("method", "body"), [("POST", BODY), ("PUT", b""), ("GET", None)])
def test_profile_accepts_what_the_library_signs_with_our_settings(method, body):
    headers = sign_with_library(method=method, body=body)

    claim = verify_with_profile(headers, method=method, body=body)

    assert (claim.key_id, claim.nonce, claim.created) == (KEY_ID, NONCE, int(NOW.timestamp()))


@given(
    body=st.none() | st.binary(max_size=200),
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE"]),
    path=st.from_regex(r"/v1/[A-Za-z0-9._~-]{1,30}(\?[a-z]{1,5}=[0-9]{1,5})?", fullmatch=True),
    age_seconds=st.integers(0, MAX_AGE_SECONDS - 60),
)
def test_library_accepts_what_the_profile_accepts(body, method, path, age_seconds):
    url = f"https://report.example{path}"
    # The library reads the real clock, which has gone on since this file was loaded.
    now = utc_now().replace(microsecond=0)
    signed = sign_request(method, url, body=body, private_key=KEY, created=now - timedelta(seconds=age_seconds))
    headers = {name.lower(): value for name, value in signed.items()}

    verify_with_profile(headers, method=method, url=url, body=body, now=now)
    (result,) = verify_with_library(headers, method=method, url=url, body=body)

    assert (result.label, result.parameters["keyid"], result.body) == (LABEL, KEY_ID, body)


def _without(name):
    return lambda headers: {key: value for key, value in headers.items() if key != name}


def _replaced(name, old, new):
    def change(headers):
        assert old in headers[name], "the mutation must change something"
        return {**headers, name: headers[name].replace(old, new, 1)}

    return change


def _twice(name):
    return lambda headers: {**headers, name: f"{headers[name]}, {headers[name]}"}


CREATED = str(int(NOW.timestamp()))
MUTATIONS = {
    "no signature": _without("signature"),
    "no signature input": _without("signature-input"),
    "no digest": _without("content-digest"),
    "no type": _without("content-type"),
    "signature twice": _twice("signature"),
    "input twice": _twice("signature-input"),
    "digest twice": _twice("content-digest"),
    "type twice": _twice("content-type"),
    "another label": lambda headers: {
        **headers,
        "signature": headers["signature"].replace("sig1", "sig2"),
        "signature-input": headers["signature-input"].replace("sig1", "sig2"),
    },
    "two signatures": lambda headers: {
        **headers,
        "signature": f"{headers['signature']}, {headers['signature'].replace('sig1', 'sig2')}",
        "signature-input": f"{headers['signature-input']}, {headers['signature-input'].replace('sig1', 'sig2')}",
    },
    "method not covered": _replaced("signature-input", '"@method" ', ""),
    "address not covered": _replaced("signature-input", ' "@target-uri"', ""),
    "type not covered": _replaced("signature-input", ' "content-type"', ""),
    "digest not covered": _replaced("signature-input", ' "content-digest"', ""),
    "covered twice": _replaced("signature-input", '"@method"', '"@method" "@method"'),
    "another order": _replaced("signature-input", '"@method" "@target-uri"', '"@target-uri" "@method"'),
    "one component more": _replaced("signature-input", ' "content-digest"', ' "content-digest" "date"'),
    "a space more": _replaced("signature-input", ";created", "; created"),
    "another time": _replaced("signature-input", CREATED, str(int(NOW.timestamp()) - 1)),
    "a time with a sign": _replaced("signature-input", f"created={CREATED}", f"created=-{CREATED}"),
    "a time with a zero before it": _replaced("signature-input", f"created={CREATED}", f"created=0{CREATED}"),
    "a time in other digits": _replaced("signature-input", f"created={CREATED}", "created=\u0661\u0662\u0663"),
    "a time with a fraction": _replaced("signature-input", CREATED, f"{CREATED}.0"),
    "no time": _replaced("signature-input", f";created={CREATED}", ""),
    "no nonce": _replaced("signature-input", f';nonce="{NONCE}"', ""),
    "a short nonce": _replaced("signature-input", NONCE, "abc"),
    "another nonce": _replaced("signature-input", NONCE, NONCE[::-1]),
    "no tag": _replaced("signature-input", ';tag="report-abuse"', ""),
    "another tag": _replaced("signature-input", "report-abuse", "report-abusf"),
    "no algorithm": _replaced("signature-input", ';alg="ed25519"', ""),
    "another algorithm": _replaced("signature-input", "ed25519", "hmac-sha256"),
    "an expiry": _replaced("signature-input", ";keyid", ";expires=9999999999;keyid"),
    "another key id": _replaced("signature-input", KEY_ID, KEY_ID[::-1]),
    "another digest": _replaced("content-digest", content_digest(BODY), content_digest(b"other")),
    "another digest algorithm": _replaced("content-digest", "sha-256", "sha-512"),
    "two digest algorithms": _replaced("content-digest", "sha-256", "sha-512=:AAAA:, sha-256"),
    "a type with parameters": _replaced("content-type", "application/json", "application/json; charset=utf-8"),
    "another type": _replaced("content-type", "application/json", "text/plain"),
    "a type in capitals": _replaced("content-type", "application/json", "Application/JSON"),
    "signature not padded": _replaced("signature", "==:", ":"),
    "signature with junk": _replaced("signature", "sig1=:", "sig1=:!"),
    "a newline at the end": lambda headers: {**headers, "signature-input": headers["signature-input"] + "\n"},
}


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_every_change_of_the_headers_is_refused(mutation):
    headers = sign_with_library()
    verify_with_profile(headers)

    with pytest.raises(SignatureProfileError):
        verify_with_profile(MUTATIONS[mutation](headers))


def test_every_bit_of_the_signature_matters():
    headers = sign_with_library()
    signature = base64.b64decode(headers["signature"].removeprefix("sig1=:").removesuffix(":"))

    for bit in range(len(signature) * 8):
        flipped = bytearray(signature)
        flipped[bit // 8] ^= 1 << bit % 8
        spelled = base64.b64encode(flipped).decode()
        with pytest.raises(SignatureProfileError):
            verify_with_profile({**headers, "signature": f"sig1=:{spelled}:"})


def test_signature_in_a_second_spelling_is_refused():
    headers = sign_with_library()
    value = headers["signature"].removesuffix("==:")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    # The last symbol of 64 bytes carries four bits that nobody reads.
    other = value[:-1] + alphabet[alphabet.index(value[-1]) ^ 1] + "==:"
    assert base64.b64decode(other[6:-1]) == base64.b64decode(headers["signature"][6:-1])

    with pytest.raises(SignatureProfileError):
        verify_with_profile({**headers, "signature": other})


@pytest.mark.parametrize(
    "changes",
    [
        {"method": "PUT"},
        {"url": URL + "?limit=1"},
        {"url": "https://other.example/v1/reports"},
        {"url": "http://report.example/v1/reports"},
        {"url": URL + "\u00e9"},
        {"body": b'{"a":2}'},
        {"body": None},
        {"public_key": public_bytes(OTHER_KEY)},
        {"public_key": bytes(31)},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_signature_holds_for_one_request_and_one_key(changes):
    headers = sign_with_library()

    with pytest.raises(SignatureProfileError):
        verify_with_profile(headers, **changes)


def test_library_alone_would_accept_a_method_without_an_address():
    """The reason for a profile of our own: the general library's default demands too little."""
    headers = sign_with_library(covered=("@method",), body=None, created=utc_now())

    assert len(verify_with_library(headers, body=None)) == 1
    with pytest.raises(SignatureProfileError):
        verify_with_profile(headers, body=None)


def test_library_refuses_the_changed_body_too():
    with pytest.raises(InvalidSignature):
        verify_with_library(sign_with_library(created=utc_now()), body=b'{"a":2}')


@given(st.dictionaries(st.sampled_from(["signature", "signature-input", "content-type", "content-digest"]), st.text()))
def test_any_headers_give_a_claim_or_one_error(headers):
    with pytest.raises(SignatureProfileError):
        parse_signature_headers(headers)
