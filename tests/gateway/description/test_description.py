"""The description of the industry door: whole, true, made from the code, and readable without a script."""

import re
from html.parser import HTMLParser

import msgspec
import pytest
from flask import Flask
from openapi_spec_validator import OpenAPIV31SpecValidator

from gateway.description import Call, UndescribedCallError, describe, get_call, list_calls
from gateway.exchange.request_signatures import parse_signature_headers
from gateway.industry import ROUTES
from gateway.store.items import put_invitation
from gateway.web.rules import SAFE_METHODS, CsrfRule, Login, rule
from partner_sdk.errors import FormatError
from partner_sdk.wire import problems
from partner_sdk.wire.canonical import (
    MessageId,
    Reference,
    ReportId,
    WireTime,
    check_reference,
    check_report_id,
    encode,
    parse_base64url,
    parse_time,
    to_base64url,
)
from partner_sdk.wire.evidence import LEAST_SEALED_BYTES
from partner_sdk.wire.problems import PROBLEMS, find_problem
from partner_sdk.wire.submission import ReportPost
from tests.builders import DAY, NOW, Agency, Door, House, Partner, make_box, make_house
from tests.builders.evidence import put_part
from tests.contract.vector_files import FILES
from tests.problem_shape import check_problem

LEAST_CALLS = 15
EXAMPLE_REPORT = next(case["body"] for case in FILES["calls"]["cases"] if case["name"] == "a report")


def fetch_document(house: House) -> dict:
    return house.open_industry().get("/v1/openapi.json").json


def list_operations(document: dict) -> list[tuple[str, str, dict]]:
    found = [
        (method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    assert len(found) >= LEAST_CALLS
    return found


def test_document_is_openapi_3_1(house: House):
    document = fetch_document(house)

    assert document["openapi"].startswith("3.1.")
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []


def test_validator_would_find_a_fault(house: House):
    document = fetch_document(house)
    del document["paths"]["/v1/reports"]["post"]["responses"]["201"]["description"]

    assert list(OpenAPIV31SpecValidator(document).iter_errors()) != []


def test_every_route_below_v1_is_in_the_document_and_no_other(house: House):
    told = {(method.upper(), path) for method, path, _ in list_operations(fetch_document(house))}

    assert told == {(method, path.replace("<", "{").replace(">", "}")) for method, path, _view in ROUTES}
    routes = [route for route in house.open_app("industry").url_map.iter_rules() if route.rule.startswith("/v1")]
    assert len(told) == sum(len((route.methods or set()) - {"HEAD", "OPTIONS"}) for route in routes)


def test_route_without_words_is_found(house: House):
    @rule(login=Login.OPEN, limit="open-read", csrf=CsrfRule.NO_POST, body_bytes=0)
    def get_secretly() -> str:
        return ""

    app = Flask("undescribed")
    app.add_url_rule("/v1/secretly", view_func=get_secretly)

    with pytest.raises(UndescribedCallError, match="get_secretly"):
        list_calls(app, prefix="/v1", limits=house.open_gateway().limits.rows)
    describe(Call(group="x", summary="x", purpose="x", answers=()))(get_secretly)
    assert [call.path for call in list_calls(app, prefix="/v1", limits={})] == ["/v1/secretly"]


@pytest.mark.parametrize(("method", "path", "view"), ROUTES)
def test_call_states_what_it_is_for_what_it_takes_and_what_it_answers(method: str, path: str, view: object):
    call = get_call(view)

    assert all((call.group, call.summary, call.purpose, call.answers))
    assert set(call.path) == set(re.findall(r"<(?:\w+:)?(\w+)>", path))
    assert (call.body is None) == (method in SAFE_METHODS)
    assert any(200 <= answer.status < 300 for answer in call.answers)


def test_every_field_has_words_or_a_list_of_values(house: House):
    components = fetch_document(house)["components"]["schemas"]
    fields = [(name, *field) for name, model in components.items() for field in model.get("properties", {}).items()]

    assert len(fields) >= 50
    told = {"description", "enum", "$ref", "anyOf"}
    assert [(name, field) for name, field, schema in fields if not told & set(schema)] == []


def test_examples_are_taken_by_the_gateway_that_publishes_them_and_their_refusals_are_not(tmp_path):
    """The examples are of a partner in the sandbox, so that none of them is ever a report."""
    partner = Partner(environment="sandbox")
    house = make_house(tmp_path / "sandbox", agency=Agency(environment="sandbox"), partners=(partner,))
    document = fetch_document(house)
    door = house.open_industry(partner)
    examples = {
        operation["operationId"]: (method.upper(), fill_path(path, operation), encode(content["example"]))
        for method, path, operation in list_operations(document)
        for content in operation.get("requestBody", {"content": {}})["content"].values()
        if "example" in content
    }
    put_what_they_speak_of(house, door, enrolment=msgspec.json.decode(examples["post_enrol"][2]))

    refused = [case for case in FILES["calls"]["cases"] if case["expect"] != "success"]
    for case in refused:
        method, path, _body = examples[case["operation"]]
        check_problem(door.send(method, path, body=encode(case["body"])), find_problem(case["expect"]))
    answers = {name: door.send(method, path, body=body) for name, (method, path, body) in examples.items()}

    assert len(refused) == 4

    assert {name: answer.status_code for name, answer in answers.items()} == {
        "post_account": 202,
        "post_adoption": 202,
        "post_enrol": 202,
        "post_evidence_complete": 200,
        "post_mailbox_ack": 200,
        "post_mailbox_entry": 202,
        "post_report": 201,
    }


def put_what_they_speak_of(house: House, door: Door, *, enrolment: dict) -> None:
    """Put the invitation, the sealed part and the message that the examples are about into the gateway."""
    (example,) = msgspec.json.schema(MessageId)["examples"]
    secret_sha256 = parse_base64url(enrolment["secret_sha256"])
    with house.open_gateway().store.write() as connection:
        put_invitation(connection, partner="example-chat", secret_sha256=secret_sha256, expires_at=NOW + DAY)
    box = to_base64url(make_box(house.agency.sealing_key))
    item = {"address": "example-chat", "envelope": box, "item_id": example}
    assert house.open_feed().post("/feed/items/mailbox-message", {"items": [item]}).status_code == 200
    assert put_part(door, f"/v1/evidence/{example}/0", bytes(LEAST_SEALED_BYTES)).status_code == 201


def fill_path(path: str, operation: dict) -> str:
    values = {one["name"]: one["schema"]["examples"][0] for one in operation["parameters"] if one["in"] == "path"}
    return path.format(**values)


@pytest.mark.parametrize("name", ["example-chat", "another-service"])
def test_examples_are_the_same_at_every_gateway(tmp_path, name: str):
    """They come from a vector, not from the gateway's keys: they reveal nothing about its partners."""
    house = make_house(tmp_path / "live", partners=(Partner(partner=name),))

    post = fetch_document(house)["paths"]["/v1/reports"]["post"]

    assert post["requestBody"]["content"]["application/json"]["example"] == EXAMPLE_REPORT


def test_example_of_the_signature_is_in_the_profile(house: House):
    post = fetch_document(house)["paths"]["/v1/reports"]["post"]
    headers = {one["name"].lower(): one["example"] for one in post["parameters"]}

    claim = parse_signature_headers(
        {**headers, "signature": "sig1=:" + "A" * 86 + "==:", "content-type": "application/json"}
    )

    assert claim.covers_body


def test_limits_and_sizes_are_those_of_the_rules(house: House):
    post = fetch_document(house)["paths"]["/v1/reports"]["post"]

    assert [(row["name"], row["quota"], row["window_seconds"]) for row in post["x-limits"]] == [
        ("partner-report", 1200, 60),
        ("partner-report-p1", 1200, 60),
    ]
    assert post["x-body-bytes"] == 6 * 1024 * 1024
    assert post["security"] == [{"signature": []}]


def test_problems_are_those_of_the_table(house: House):
    document = fetch_document(house)
    examples = document["components"]["examples"]

    assert set(examples) <= {problem.slug for problem in PROBLEMS}
    for slug, example in examples.items():
        problem = find_problem(slug)
        assert problem is not None
        assert (example["summary"], example["description"]) == (problem.title, problem.advice)
    # Those of the feed and of the form on the phone alone, and the one of addresses that are in no document.
    left_out = {problem.slug for problem in PROBLEMS} - set(examples)
    assert left_out == {"method-not-allowed", "stale-serial", "refused-list", "reference-taken"}


def test_patterns_of_the_words_are_those_of_the_checks():
    schema = msgspec.json.schema(ReportId)
    for text in ("019aba5e-8c40-7a3e-9d41-5f0c2b7e6a18", "019ABA5e-8c40-7a3e-9d41-5f0c2b7e6a18", "x"):
        fits = re.search(schema["pattern"], text) is not None
        try:
            check_report_id(text)
            is_taken = True
        except FormatError:
            is_taken = False
        assert fits == is_taken
    (example,) = msgspec.json.schema(WireTime)["examples"]
    parse_time(example)
    (example,) = msgspec.json.schema(Reference)["examples"]
    check_reference(example)


def test_words_of_a_field_refuse_nothing():
    """Parsers check, with named reasons; the words are for readers alone."""
    made = msgspec.json.decode(
        b'{"envelope":"!","statement":{"payload":"!","payloadType":"!","signatures":[]}}', type=ReportPost
    )

    assert made.envelope == "!"


def test_document_has_a_tag_and_may_be_kept(house: House):
    door = house.open_industry()
    first = door.get("/v1/openapi.json")

    assert first.headers["Cache-Control"] == "public, max-age=300"
    unchanged = door.get("/v1/openapi.json", headers={"If-None-Match": first.headers["ETag"]})
    assert (unchanged.status_code, unchanged.data) == (304, b"")
    assert house.open_industry().get("/v1/openapi.json").data == first.data


def test_sandbox_says_that_it_takes_no_reports(tmp_path):
    house = make_house(tmp_path / "sandbox", agency=Agency(environment="sandbox"))
    house.publish(Partner(environment="sandbox").entry())

    assert "NOT A REPORT" in fetch_document(house)["servers"][0]["description"]
    assert "NOT A REPORT" in house.open_industry().get("/v1/docs").text


class Seen(HTMLParser):
    """Notes the tags, ids and addresses of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.handlers: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            self.ids += [value or ""] if name == "id" else []
            self.addresses += [value or ""] if name in {"href", "src", "action"} else []
            self.handlers += [name] if name.startswith("on") or name == "style" else []


def read_page(house: House) -> tuple[Seen, str]:
    answer = house.open_industry().get("/v1/docs")
    assert (answer.status_code, answer.content_type) == (200, "text/html; charset=utf-8")
    seen = Seen()
    seen.feed(answer.text)
    return seen, answer.text


def test_page_runs_no_script_and_asks_nobody_else(house: House):
    seen, _text = read_page(house)

    assert len(seen.tags) > 500
    assert not {"script", "iframe", "img", "form", "style", "object"} & set(seen.tags)
    assert seen.handlers == []
    assert [address for address in seen.addresses if not address.startswith(("/v1/", "/problems/", "#"))] == []


def test_page_has_the_policy_of_the_site_and_no_cookie(house: House):
    answer = house.open_industry().get("/v1/docs")

    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert "Set-Cookie" not in answer.headers


def test_links_of_the_page_lead_somewhere(house: House):
    seen, _text = read_page(house)
    door = house.open_industry()

    assert len(set(seen.ids)) == len(seen.ids)
    inside = {address.removeprefix("#") for address in seen.addresses if address.startswith("#")}
    assert inside <= set(seen.ids)
    for address in {address for address in seen.addresses if not address.startswith("#")}:
        assert door.get(address).status_code == 200, address


def test_page_tells_of_every_call_its_fields_and_what_to_do(house: House):
    _seen, text = read_page(house)
    plain = text.replace("&#39;", "'").replace("&#34;", '"')

    for method, path, operation in list_operations(fetch_document(house)):
        assert f">{method.upper()}</span> <code>{path}</code>" in plain
        assert operation["summary"] in plain
    for word in ("evidence_ids", "envelope_sha256", "Content-Digest", "6,291,456 bytes", problems.RATE_LIMITED.advice):
        assert word in plain


def test_style_sheet_is_small_and_asks_for_nothing(house: House):
    answer = house.open_industry().get("/v1/docs/style.css")

    assert (answer.status_code, answer.content_type) == (200, "text/css; charset=utf-8")
    assert len(answer.data) < 8_000
    assert "url(" not in answer.text
    assert "@import" not in answer.text
