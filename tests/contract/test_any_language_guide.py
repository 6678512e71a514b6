"""The guide for other languages matches the code: kinds, fields, sizes, times, and the one signature."""

import re
import subprocess

import pytest

from gateway.exchange import request_signatures
from partner_sdk.wire import sealing
from partner_sdk.wire.enrolment import EnrolmentKeys, Invitation
from partner_sdk.wire.sealing import XWING_PUBLIC_KEY_BYTES
from partner_sdk.wire.signing import StatementKind
from partner_sdk.wire.submission import StatedFields, SubmissionStatement
from tests.house.sources import ROOT

TEXT = (ROOT / "docs" / "guides" / "any-language.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```bash\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
KEY_ID, NONCE = "AAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"


def test_every_kind_of_statement_that_is_named_exists() -> None:
    named = set(re.findall(r"application/vnd\.report-abuse\.[a-z-]+\.v1\+json", TEXT))
    assert named == {
        kind.value
        for kind in (
            StatementKind.DELEGATION,
            StatementKind.ENROLMENT,
            StatementKind.INTAKE,
            StatementKind.KEY_SET,
            StatementKind.MAILBOX_MESSAGE,
            StatementKind.ROOT_CHANGE,
            StatementKind.SUBMISSION,
            StatementKind.THREAD_ENTRY,
        )
    }


def test_fields_that_are_listed_are_those_of_the_wire() -> None:
    (clear,) = re.findall(r"'\{(earlier_reference: .*?)\}'", TEXT, re.DOTALL)
    assert set(re.findall(r"(\w+): ", clear)) == set(StatedFields.__struct_fields__)
    (added,) = re.findall(r"'\. \+ \{(.*?)\}'", TEXT)
    assert set(re.findall(r"(\w+): ", added)) == set(SubmissionStatement.__struct_fields__) - set(
        StatedFields.__struct_fields__
    )
    (keys,) = re.findall(r'canonical JSON of \{("context_key".*?)\}', TEXT)
    assert set(re.findall(r'"(\w+)"', keys)) == set(EnrolmentKeys.__struct_fields__)
    (invitation,) = re.findall(r"The invitation is JSON: (.*?)\.", TEXT, re.DOTALL)
    assert set(re.findall(r"`(\w+)`", invitation)) == set(Invitation.__struct_fields__)


def test_numbers_are_those_of_the_code() -> None:
    assert f"0x{sealing.KEM_ID:04X} || 0x0001 || 0x0002" in TEXT
    assert f"enc has {sealing.ENC_BYTES} bytes" in TEXT
    assert f"has {XWING_PUBLIC_KEY_BYTES} bytes" in TEXT
    assert f"{request_signatures.MAX_AGE_SECONDS} seconds past" in TEXT
    assert f"{request_signatures.MAX_SKEW_SECONDS} ahead" in TEXT
    assert f"at most {sealing.MAX_PADDED_BYTES // 1024**2} MiB of `padded`" in TEXT


def test_examples_of_padding_are_right() -> None:
    examples = re.findall(r"\b(\d+)\sbecomes\s(\d+)", TEXT)
    assert len(examples) == 4
    for length, padded in examples:
        # `n` counts the four bytes of the length too.
        assert len(sealing.pad(bytes(int(length) - 4), purpose="report", sender="example-chat")) == int(padded)


@pytest.mark.parametrize(("place", "covers_body"), [(0, True), (1, False)])
def test_signature_of_the_examples_is_in_the_profile(place: int, covers_body: bool) -> None:
    lines = re.findall(r'^PARAMS="(.*)"$', TEXT, re.MULTILINE)
    assert len(lines) == 2
    parameters = lines[place].replace('\\"', '"')
    for call, value in {
        "$(date +%s)": "1795595400",
        "$(key_id submission.pem)": KEY_ID,
        "$(openssl rand 24 | b64url)": NONCE,
    }.items():
        assert call in parameters
        parameters = parameters.replace(call, value)
    headers = {
        "signature-input": f"sig1={parameters}",
        "signature": "sig1=:" + "A" * 86 + "==:",
        "content-type": "application/json",
        "content-digest": "sha-256=:" + "A" * 43 + "=:",
    }
    assert request_signatures.parse_signature_headers(headers).covers_body is covers_body


@pytest.mark.parametrize("block", BLOCKS, ids=[str(number) for number in range(len(BLOCKS))])
def test_shell_reads_every_example(block: str) -> None:
    done = subprocess.run(["sh", "-n"], input=block, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_no_example_is_lost() -> None:
    assert len(BLOCKS) == 10
