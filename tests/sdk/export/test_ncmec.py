"""A report as NCMEC's XML: in the order of the schema, nothing empty, nothing injected, and nothing lost in silence."""

import re
from typing import Any
from xml.etree import ElementTree as ET
from xml.etree.ElementTree import Element

import msgspec
import pytest

from partner_sdk.errors import ReportError
from partner_sdk.export import NcmecExport, make_ncmec_file, make_ncmec_report
from partner_sdk.export._ncmec_elements import INCIDENT_TYPES
from partner_sdk.report import IndustryReport, NotHeld, parse_report
from partner_sdk.report.outline import Visited, follow, make_trail
from tests.builders import EXAMPLE_REPORT, FULL_REPORT, make_industry_report
from tests.sdk.export.ncmec_schema import FLAGS, ORDER, list_faults

FULL = parse_report(FULL_REPORT.read_bytes(), priority="P2")
LEAVES = make_trail(lambda field: field.part is None)
HOSTILE = "</additionalInfo><injected a=\"'&]]>\x00\x1b[2J\x85\ufffe\u202e--><!--\r\n- What (#/x): y"


def export(report: IndustryReport = FULL, **settings: Any) -> NcmecExport:
    return make_ncmec_report(report, **{"priority": "P2", **settings})


def parse(made: NcmecExport) -> Element:
    return ET.fromstring(made.xml)  # noqa: S314 - our own document, which names no entity


def texts(made: NcmecExport) -> str:
    root = parse(made)
    return "\n".join(
        [*(one.text or "" for one in root.iter()), *(v for one in root.iter() for v in one.attrib.values())]
    )


def change(value: Any, **changes: Any) -> Any:
    return msgspec.structs.replace(value, **changes)


def of_incident(**changes: Any) -> IndustryReport:
    report: IndustryReport = change(FULL, incident=change(FULL.incident, **changes))
    return report


def of_suspect(**changes: Any) -> IndustryReport:
    assert isinstance(FULL.suspects, tuple)
    report: IndustryReport = change(FULL, suspects=(change(FULL.suspects[0], **changes),))
    return report


def of_child(**changes: Any) -> IndustryReport:
    assert isinstance(FULL.children, tuple)
    report: IndustryReport = change(FULL, children=(change(FULL.children[0], **changes),))
    return report


def leaves_of(report: IndustryReport) -> list[Visited]:
    return [one for one in follow(LEAVES, report) if one.value not in (None, ()) and not isinstance(one.value, NotHeld)]


@pytest.mark.parametrize("path", [EXAMPLE_REPORT, FULL_REPORT], ids=["least", "full"])
@pytest.mark.parametrize("priority", ["P1", "P2", "P3"])
def test_document_is_in_the_order_of_the_schema(path: Any, priority: Any) -> None:
    report = parse_report(path.read_bytes(), priority="P2")
    root = parse(export(report, priority=priority))
    assert root.tag == "report"
    assert list_faults(root) == []


@pytest.mark.parametrize(
    "medium",
    [
        *("web_page", "email", "forum", "chat", "game", "live_stream", "voice_video", "phone_sms"),
        *("payment", "peer_to_peer", "ai_tool", "offline"),
    ],
)
def test_every_medium_has_a_document_that_holds(medium: str) -> None:
    made = export(of_incident(medium=medium))
    root = parse(made)
    assert list_faults(root) == []
    details = [[child.tag for child in one] for one in root.iter("internetDetails")]
    assert all(len(kinds) == 1 for kinds in details)
    assert ["webPageIncident"] in details
    assert "example-thread-1" in texts(made)


def test_every_element_that_the_test_knows_a_place_for_is_told_from_one_out_of_place() -> None:
    root = parse(export())
    root.insert(0, root[-1])
    assert any("out of order" in fault for fault in list_faults(root))
    empty = parse(export())
    ET.SubElement(empty, "additionalInfo")
    assert {"report has additionalInfo twice", "additionalInfo is empty"} <= set(list_faults(empty))
    assert len(ORDER) > 25


def test_every_value_is_said_or_named_as_lost() -> None:
    made = export()
    said, lost = texts(made), {loss.pointer for loss in made.losses}
    leaves = leaves_of(FULL)
    assert len(leaves) > 150
    silent = []
    for leaf in leaves:
        values = leaf.value if isinstance(leaf.value, tuple) else (leaf.value,)
        for place, value in enumerate(values):
            pointers = {leaf.pointer, f"{leaf.pointer}/{place}", *(leaf.pointer[:end] for end in slashes(leaf.pointer))}
            if pointers & lost or str(value) in said or spelled(value) in said:
                continue
            silent.append(leaf.pointer)
    # What became a word of theirs: a flag, and the types of an address and of a telephone number.
    assert set(silent) == {"#/incident/tags", "#/suspects/0/addresses/0/use", "#/suspects/0/phones/0/type"}
    assert {"csamSolicitation", "Billing", "Mobile"} <= set(re.findall(r"\w+", made.xml.decode()))


def slashes(pointer: str) -> list[int]:
    return [place for place, character in enumerate(pointer) if character == "/" and place > 2]


def spelled(value: Any) -> str:
    return {"True": "yes", "False": "no", "yes": "true", "no": "false"}.get(str(value), str(value))


def test_reason_why_something_is_not_held_is_named_as_lost() -> None:
    made = export()
    lost = {loss.pointer for loss in made.losses if loss.kind == "not-said"}
    assert {"#/police", "#/suspects/0/former_names", "#/suspects/0/logins/1/port"} <= lost


def test_losses_never_repeat_what_the_report_says() -> None:
    marker = "marker2f6c"
    made = export(of_suspect(username=marker, biography=f"{marker}\x00"))
    assert marker in made.xml.decode()
    assert any(loss.kind == "changed" for loss in made.losses)
    assert marker not in str(made.losses)


def free_text_fields() -> list[str]:
    found = []
    for leaf in leaves_of(FULL):
        values = leaf.value if isinstance(leaf.value, tuple) else (leaf.value,)
        if all(isinstance(value, str) for value in values) and takes_any_text(leaf.pointer):
            found.append(leaf.pointer)
    return found


def takes_any_text(pointer: str) -> bool:
    try:
        replace_at(FULL, pointer, "x<y")
    except msgspec.ValidationError:
        return False
    return True


def replace_at(report: IndustryReport, pointer: str, text: str) -> IndustryReport:
    document = msgspec.to_builtins(report)
    *steps, last = pointer.removeprefix("#/").split("/")
    owner = document
    for step in steps:
        owner = owner[int(step)] if isinstance(owner, list | tuple) else owner[step]
    owner[last] = [text] if isinstance(owner[last], list | tuple) else text
    return msgspec.convert(document, IndustryReport)


@pytest.mark.parametrize("pointer", free_text_fields())
def test_markup_and_control_characters_stay_text(pointer: str) -> None:
    report = replace_at(FULL, pointer, HOSTILE)
    for made in documents_of(report):
        root = parse(made)
        assert list_faults(root) == []
        assert "injected" not in {one.tag for one in root.iter()}
        assert made.xml.isascii()
        assert not re.search(rb"[\x00-\x08\x0b-\x1f\x7f]", made.xml)
        # A line of somebody's text never begins as one of ours does.
        said = "\n".join(one.text or "" for tag in ("additionalInfo", "content") for one in root.iter(tag))
        assert not re.search(r"^- What \(#/x\)", said, re.MULTILINE)
    assert any("<injected a=" in texts(made) for made in documents_of(report))


def documents_of(report: IndustryReport) -> list[NcmecExport]:
    files = report.files if isinstance(report.files, tuple) else ()
    made = [make_ncmec_file(report, file_id=one.file_id, report_number="1", ncmec_file_id="a1") for one in files]
    return [export(report), *made]


def test_there_are_many_fields_of_free_text() -> None:
    assert len(free_text_fields()) > 70


@pytest.mark.parametrize(
    ("field", "tag"),
    [("service_user_id", "espIdentifier"), ("username", "screenName"), ("vehicle", "vehicleDescription")],
)
def test_value_that_is_too_long_is_not_cut_but_said_as_free_text(field: str, tag: str) -> None:
    long = "x" * 300
    made = export(of_suspect(**{field: long}))
    root = parse(made)
    assert list_faults(root) == []
    person = root.find("personOrUserReported")
    assert person is not None
    found = person.findtext(tag)
    assert found in (None, long)
    assert long in texts(made)


def test_name_of_three_words_is_not_split() -> None:
    made = export(of_suspect(stated_name="Maria Jose Example"))
    assert parse(made).find("personOrUserReported/personOrUserReportedPerson/firstName") is None
    assert "Maria Jose Example" in texts(made)


def test_what_is_no_ip_address_is_no_capture() -> None:
    assert isinstance(FULL.suspects, tuple)
    assert isinstance(FULL.suspects[0].logins, tuple)
    login = change(FULL.suspects[0].logins[0], ip="not an address")
    made = export(of_suspect(logins=(login,)))
    person = parse(made).find("personOrUserReported")
    assert person is not None
    assert person.find("ipCaptureEvent") is None
    assert "not an address" in texts(made)
    assert "51234" in texts(made)


def test_child_without_a_person_has_the_one_element_that_may_be_empty() -> None:
    assert isinstance(FULL.children, tuple)
    made = export(of_child(emails=(), born_on=None))
    root = parse(made)
    assert [
        one.tag for one in root.iter() if not len(one) and not (one.text or "").strip() and one.tag not in FLAGS
    ] == ["victimPerson"]
    assert list_faults(root) == []


def test_report_without_a_suspect_names_nobody() -> None:
    root = parse(export(change(FULL, suspects=(), conversations=(), children=())))
    assert list_faults(root) == []
    assert root.find("personOrUserReported") is None
    assert root.find("victim") is None


def test_second_suspect_has_a_document_of_its_own() -> None:
    assert isinstance(FULL.suspects, tuple)
    second = change(FULL.suspects[0], service_user_id="example-user-4004", username="example_other")
    report = change(FULL, suspects=(FULL.suspects[0], second))
    first_made, second_made = export(report), export(report, suspect=1)
    assert "#/suspects/1" in {loss.pointer for loss in first_made.losses if loss.kind == "not-said"}
    assert "example_other" not in texts(first_made)
    assert "#/suspects/0" in {loss.pointer for loss in second_made.losses if loss.kind == "not-said"}
    assert parse(second_made).findtext("personOrUserReported/espIdentifier") == "example-user-4004"
    with pytest.raises(ReportError) as caught:
        export(report, suspect=2)
    assert caught.value.reason == "no-such-suspect"


def test_somebody_whom_it_was_meant_for_is_an_intended_recipient() -> None:
    assert isinstance(FULL.other_people, tuple)
    recipient = change(FULL.other_people[0], part="recipient", name="Kim Example")
    root = parse(export(change(FULL, other_people=(recipient,))))
    assert root.findtext("intendedRecipient/intendedRecipientPerson/firstName") == "Kim"
    assert root.findtext("intendedRecipient/espIdentifier") == "example-user-2003"
    assert list_faults(root) == []


def test_police_who_know_are_named_with_the_process_they_served() -> None:
    police = {"agency": "Example Police", "country": "GB", "officer": "Robin Example", "legal_process": "yes"}
    report = msgspec.convert({**msgspec.to_builtins(FULL), "police": [police]}, IndustryReport)
    found = parse(export(report)).find("lawEnforcement")
    assert found is not None
    assert found.get("fleaCountry") == "GB"
    assert [one.tag for one in found] == [
        *("agencyName", "officerContact", "reportedToLe", "servedLegalProcessInternational"),
    ]


def test_reason_of_a_p3_asks_for_no_quick_look() -> None:
    urgent, calm = export(priority="P1"), export(priority="P3")
    assert parse(urgent).findtext("incidentSummary/escalateToHighPriority") == FULL.priority_reason
    assert parse(calm).find("incidentSummary/escalateToHighPriority") is None
    assert str(FULL.priority_reason) in texts(calm)


def test_annotations_come_from_tags_and_sub_label() -> None:
    report = change(of_incident(tags=("spam", "sextortion")), sub_label="child_to_child")
    annotations = parse(export(report)).find("incidentSummary/reportAnnotations")
    assert annotations is not None
    assert [one.tag for one in annotations] == ["sextortion", "minorToMinorInteraction", "spam"]


def test_risky_behaviour_alone_is_no_kind_of_theirs() -> None:
    report = make_industry_report(category="risk_behaviour", sub_label="none")
    with pytest.raises(ReportError) as caught:
        export(report)
    assert caught.value.reason == "no-incident-type"
    assert caught.value.faults[0].pointer == "#/category"
    chosen = INCIDENT_TYPES[-1]
    assert parse(export(report, incident_type=chosen)).findtext("incidentSummary/incidentType") == chosen
    with pytest.raises(ReportError):
        export(report, incident_type="of my own")


@pytest.mark.parametrize(("sub_label", "begins"), [("ai_generated", "Child Porn"), ("sextortion", "Online Entice")])
def test_kind_is_theirs_for_what_ours_means(sub_label: str, begins: str) -> None:
    found = parse(export(make_industry_report(sub_label=sub_label))).findtext("incidentSummary/incidentType")
    assert found in INCIDENT_TYPES
    assert str(found).startswith(begins)


def test_file_has_a_document_in_the_order_of_the_schema() -> None:
    made = make_ncmec_file(FULL, file_id="file-1", report_number="4564654", ncmec_file_id="b0754af7")
    root = parse(made)
    assert list_faults(root) == []
    assert root.findtext("originalFileHash[@hashType='MD5']") == "d41d8cd98f00b204e9800998ecf8427e"
    assert root.findtext("ipCaptureEvent/eventName") == "Upload"
    assert root.find("fileAnnotations/potentialMeme") is not None
    assert root.findtext("fileRelevance") == "Reported"
    assert "copy" in str(root.findtext("additionalInfo"))


def test_supplemental_file_is_neither_classified_nor_called_a_meme() -> None:
    assert isinstance(FULL.files, tuple)
    file = change(FULL.files[0], relevance="supplemental", industry_class="B2", tags=("meme", "viral"))
    made = make_ncmec_file(change(FULL, files=(file,)), file_id="file-1", report_number="1", ncmec_file_id="a")
    root = parse(made)
    assert list_faults(root) == []
    assert [one.tag for one in root.findall("fileAnnotations/*")] == ["viral"]
    assert root.find("industryClassification") is None
    assert "meme" in str(root.findtext("additionalInfo"))
    assert "B2" in str(root.findtext("additionalInfo"))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"file_id": "file-9"}, "no-such-file"),
        ({"report_number": "<1>"}, "bad-ncmec-id"),
        ({"ncmec_file_id": ""}, "bad-ncmec-id"),
    ],
)
def test_file_that_is_not_there_has_no_document(changes: dict[str, str], reason: str) -> None:
    settings = {"file_id": "file-1", "report_number": "1", "ncmec_file_id": "a", **changes}
    with pytest.raises(ReportError) as caught:
        make_ncmec_file(FULL, **settings)
    assert caught.value.reason == reason
