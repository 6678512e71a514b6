"""WIRE.md matches the code: every kind, suite, limit and problem in it exists, and none is missing."""

import re
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from gateway import industry
from gateway.description import get_call
from gateway.exchange import public_codes, public_report, request_signatures
from gateway.exchange.feed import (
    KINDS,
    Acknowledgement,
    AcknowledgementPost,
    GatewayCard,
    NewItem,
    PartnerRegister,
    RegisterEntry,
)
from gateway.exchange.public_report import PublicReport
from gateway.feed import ROUTES
from gateway.public import returning
from gateway.public.journey import FIELD_BY_NAME
from gateway.web.rules import Login
from partner_sdk.report.model import SealedIndustryReport
from partner_sdk.wire import sealing
from partner_sdk.wire.button import LANGUAGES, AskingService, ContextAccount, ContextMessage, PageContext, Surface
from partner_sdk.wire.enrolment import ContactPoint, EnrolmentBox, Person, Platform, Registration
from partner_sdk.wire.mailbox import (
    ACCOUNT_KINDS,
    OUTCOMES,
    PACKAGE_OUTCOMES,
    EntryKind,
    InformationRequest,
    ReferralFacts,
    ThreadEntry,
)
from partner_sdk.wire.sealing import XWING_PUBLIC_KEY_BYTES
from partner_sdk.wire.signing import COVERED_WITH_BODY, KeySet, KeySetBundle, SignedStatement, StatementKind
from partner_sdk.wire.submission import SET_ASIDE_REASONS
from tests.contract.vector_files import FILES

TEXT = (Path(__file__).resolve().parents[2] / "partner_sdk" / "WIRE.md").read_text(encoding="utf-8")


def test_every_statement_kind_is_in_the_document_and_no_other() -> None:
    assert set(re.findall(r"application/vnd\.report-abuse\.[a-z-]+\.v1\+json", TEXT)) == {
        k.value for k in StatementKind
    }


def test_numbers_of_the_document_are_those_of_the_code() -> None:
    assert f"`0x{sealing.KEM_ID:04X}`" in TEXT
    assert f"enc({sealing.ENC_BYTES})" in TEXT
    assert f"{XWING_PUBLIC_KEY_BYTES} bytes" in TEXT
    assert f"{sealing.PUBLIC_PADDED_BYTES:,} bytes for a public report" in TEXT
    assert (
        f"at most {request_signatures.MAX_AGE_SECONDS} s old and at most {request_signatures.MAX_SKEW_SECONDS} s ahead"
        in TEXT
    )
    assert sealing.SUITE_NAME in TEXT


def test_signature_example_of_the_document_is_in_the_profile() -> None:
    covered = " ".join(f'"{name}"' for name in COVERED_WITH_BODY)
    line = next(line for line in TEXT.splitlines() if line.startswith("Signature-Input:"))
    headers = {
        "signature-input": line.removeprefix("Signature-Input: ")
        .replace('keyid="..."', 'keyid="AAAAAAAAAAA"')
        .replace('nonce="..."', 'nonce="AAAAAAAAAAAAAAAA"'),
        "signature": "sig1=:" + "A" * 86 + "==:",
        "content-type": "application/json",
        "content-digest": "sha-256=:" + "A" * 43 + "=:",
    }
    assert covered in headers["signature-input"]
    assert request_signatures.parse_signature_headers(headers).covers_body


def read_section(number: str) -> str:
    (section,) = re.findall(rf"^#+ {re.escape(number)} .*?(?=^#|\Z)", TEXT, re.MULTILINE | re.DOTALL)
    return section


def test_codes_of_public_reports_are_those_that_form_and_desk_use() -> None:
    rows = re.findall(r"^\| (`.*?`) \| (`.*?`) \|", read_section("6.4"), re.MULTILINE)
    table = {field: tuple(re.findall("`(.*?)`", codes)) for field, codes in rows}
    assert table == {
        "`language`": LANGUAGES,
        "`under_18`": (public_codes.YES, public_codes.IS_NOT_UNDER_18, public_codes.RATHER_NOT_SAY),
        "`age_band`, `reporter_age_band`": public_codes.AGE_BANDS,
        "`region`": public_codes.REGIONS,
        "`meeting.when`": public_codes.MEETING_TIMES,
        "`contact.ways`": public_codes.CONTACT_WAYS,
        "`signals`": (
            public_codes.HONEYPOT_SIGNAL,
            public_codes.FAST_SIGNAL,
            public_codes.LIMITED_SIGNAL,
            public_codes.CONTEXT_REFUSED_SIGNAL,
            public_codes.DANGER_PREFIX,
        ),
    }


def test_form_asks_in_the_codes_of_the_document() -> None:
    options = {name: field.options for name, field in FIELD_BY_NAME.items()}
    assert options["age"] == options["their_age"] == public_codes.AGE_BANDS
    assert options["region"] == public_codes.REGIONS
    assert options["meeting_when"] == public_codes.MEETING_TIMES
    assert options["contact_ways"] == public_codes.CONTACT_WAYS


def test_return_code_of_the_document_is_that_of_the_code() -> None:
    section = read_section("9.2")
    assert f"list of {returning.WORD_COUNT:,}" in section
    assert f"memory {returning.MEMORY_KIB:,} KiB, passes {returning.PASSES}, lanes {returning.LANES}" in section
    for label in (returning._SALT_LABEL, returning._SEED_LABEL, returning._TOKEN_LABEL):
        assert f'"{label.decode()}"' in section
    assert f"at most {public_report.MAX_BODY_CHARACTERS:,} characters" in section
    assert re.search(rf"at\s+most {public_report.MAX_SIGNED_BYTES:,}", section)


def test_kinds_of_sealed_items_are_those_of_the_code() -> None:
    rows = re.findall(
        r"^\| `([a-z-]+)` \| ([a-z]+), ([a-z]+) \| (.*?) \| (.*?) \| ([0-9,]+)(?: a part)? \| ([0-9,]+) \| (.*?) \|$",
        read_section("10.3"),
        re.MULTILINE,
    )
    assert [row[0] for row in rows] == list(KINDS)
    one_for_each = {"id": "id", "id-of-address": "id at an address", "address": "address"}
    for name, put_by, taken_by, address, identity, most_bytes, at_once, leaves in rows:
        kind = KINDS[name]
        assert (put_by, taken_by, one_for_each[kind.identity]) == (kind.put_by, kind.taken_by, identity)
        assert (most_bytes, at_once) == (f"{kind.max_envelope_bytes:,}", f"{kind.max_items:,}")
        assert ("30 days" in leaves, "digest" in leaves) == (kind.leaves == "bytes", kind.leaves != "nothing")
        assert (address == "empty") == (name == "adoption-request")
        assert kind.max_waiting is None or f"{kind.max_waiting} wait at most" in leaves


def test_calls_of_the_feed_are_those_of_the_code() -> None:
    told = set(re.findall(r"`(GET|POST|PUT) (/feed/[^`?]*)", read_section("10.3")))
    assert told == {(method, re.sub(r"<(?:evidence_|path:)?([a-z]+)>", r"{\1}", path)) for method, path, _ in ROUTES}
    assert len(told) == 11


def test_calls_of_partners_are_those_of_the_code_with_their_bodies_and_answers() -> None:
    told = {}
    for row in read_section("10").splitlines():
        if row.startswith("| `"):
            calls, signed, body, answer = (cell.strip() for cell in row.strip("|").split("|"))
            told.update(dict.fromkeys(re.findall(r"`([A-Z]+) (/v1/[^`]*)`", calls), (signed, body, answer)))
    views = {
        (method, re.sub(r"<(?:evidence_|report_|message_)?([a-z]+)>", r"{\1}", path)): view
        for method, path, view in industry.ROUTES
        if "<name>" not in path  # the files of the page of the description
    }
    assert told.keys() == views.keys()
    for key, view in views.items():
        call, (signed, body, answer) = get_call(view), told[key]
        is_signed = view.route_rule.login is Login.PARTNER
        assert signed == ("yes" if is_signed else "may be" if call.may_be_signed else "no"), key
        assert re.findall('"([a-z_0-9]+)"', body) == list_field_names(call.body), key
        told_names = set(re.findall('"([a-z_0-9]+)"', answer)) - {"waiting"}
        models = [one.kind for one in call.answers if one.kind not in {SignedStatement, KeySetBundle}]
        assert told_names.issuperset(name for model in models for name in list_field_names(model)), key


def list_field_names(model: object) -> list[str]:
    """Return the fields of a body in the order of its one spelling; none for bytes and for no body."""
    return sorted(model.__struct_fields__) if isinstance(model, type) and issubclass(model, msgspec.Struct) else []


def test_values_of_fields_are_those_of_the_code() -> None:
    (surfaces,) = re.findall(r"^\| `surface` \| (.*) \|$", read_section("8.2"), re.MULTILINE)
    assert set(re.findall("`(.*?)`", surfaces)) == set(get_args(Surface))
    (outcomes,) = re.findall(r"^\| `outcome` \|.*\| the result of one report: (.*?);", read_section("9"), re.MULTILINE)
    assert set(re.findall("`(.*?)`", outcomes)) == {code for code, _ in OUTCOMES}
    reasons = re.findall(r"^\| `([a-z-]+)` \|", read_section("9.4"), re.MULTILINE)
    assert set(reasons) == set(SET_ASIDE_REASONS)
    assert len(reasons) == len(SET_ASIDE_REASONS)
    (kinds,) = re.findall(r"An account has a `kind` \((.*?);", read_section("9.3"))
    assert re.findall("`(.*?)`", kinds) == list(ACCOUNT_KINDS)
    assert re.findall(r"^\| `([a-z]+)` \|", read_section("9.6"), re.MULTILINE) == list(get_args(EntryKind))
    (found,) = re.findall(r"^`outcome` is (.*?);", read_section("9.6"), re.MULTILINE)
    assert re.findall("`(.*?)`", found) == list(PACKAGE_OUTCOMES)


@pytest.mark.parametrize(
    ("section", "models"),
    [
        ("5.4", (KeySet,)),
        ("5.6", (GatewayCard,)),
        ("5.5", (PartnerRegister, RegisterEntry)),
        ("6.4", (PublicReport,)),
        ("8", (EnrolmentBox,)),
        ("8.1", (Registration, Person, ContactPoint, Platform)),
        ("8.2", (PageContext, ContextAccount, ContextMessage)),
        ("8.3", (AskingService,)),
        ("9", (InformationRequest, ReferralFacts)),
        ("9.6", (ThreadEntry,)),
        ("10.3", (NewItem, Acknowledgement, AcknowledgementPost)),
    ],
)
def test_fields_that_may_be_left_out_are_called_optional(
    section: str, models: tuple[type[msgspec.Struct], ...]
) -> None:
    text = read_section(section)
    for model in models:
        assert model.__struct_config__.omit_defaults
        optional = [field.name for field in msgspec.structs.fields(model) if not field.required]
        assert optional, model
        for name in optional:
            assert re.search(rf"\*[Oo]ptional\*[^.;]*`{name}`|`{name}`[^.;]*\*optional\*", text), (model, name)


def test_only_a_sealed_report_may_spell_an_absent_field_in_two_ways() -> None:
    rows = re.findall(r"^\| `([a-z]+)` \| (may be absent)?", read_section("6.5"), re.MULTILINE)
    fields = msgspec.structs.fields(SealedIndustryReport)
    assert {name: absent == "may be absent" for name, absent in rows} == {
        field.name: not field.required for field in fields
    }


def test_beginning_names_every_section_for_its_readers() -> None:
    first = TEXT[: TEXT.index("\n## ")]
    for number, title in re.findall(r"^## (\d+) (.*)$", TEXT, re.MULTILINE):
        assert f"[{number}](#{number}-{title.lower().replace(' ', '-')})" in first
    service, _, others = first.partition("With the button on a page:")
    assert re.findall(r"without (\d+\.\d)", service) == ["5.6", "6.4"]
    subsections = set(re.findall(r"^### (\d+\.\d) ", TEXT, re.MULTILINE))
    read_whole = {one for one in subsections if one[0] in "3567"} - {"5.6", "6.4"}
    assert set(re.findall(r"\b\d+\.\d\b", f"{service} {others}")) | read_whole == subsections


def test_every_vector_file_is_in_the_document_and_no_other() -> None:
    assert re.findall(r"`vectors/([a-z-]+)\.json`", read_section("12")) != []
    named = re.findall(r"`vectors/([a-z-]+)\.json`", TEXT)
    assert set(re.findall(r"`vectors/([a-z-]+)\.json`", read_section("12"))) == set(named) == set(FILES)
