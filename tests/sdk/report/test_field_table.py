"""docs/fields.md matches the model, and the model holds every item that the agency asks for."""

from collections.abc import Iterable

import pytest

from partner_sdk.report.outline import list_fields, may_be_not_held
from partner_sdk.report.reading import APPLIES, MOST_USEFUL
from tests.sdk.report.field_table import COMMAND, DOCUMENT, make_document

FIELDS = {field.pattern: field for field in list_fields()}


def test_document_is_what_the_model_says() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == make_document(), f"run {COMMAND}"


def test_every_field_has_words_and_no_two_of_one_object_have_the_same() -> None:
    assert len(FIELDS) >= 200
    for field in FIELDS.values():
        assert field.description.endswith(".")
        assert len(field.description) > 4
    said = [(pattern.rpartition("/")[0], field.description) for pattern, field in FIELDS.items()]
    assert len(set(said)) == len(said)


def test_whatever_is_no_must_may_be_not_held() -> None:
    free = [field for field in FIELDS.values() if field.needed in {"should", "may"}]
    assert len(free) >= 150
    assert [field.pattern for field in free if not may_be_not_held(field.type)] == []
    bound = [field for field in FIELDS.values() if field.needed in {"must", "case"}]
    assert [field.pattern for field in bound if may_be_not_held(field.type)] == []


def test_order_of_use_and_idle_questions_name_fields_that_count() -> None:
    assert len(set(MOST_USEFUL)) == len(MOST_USEFUL) >= 30
    for pattern in (*MOST_USEFUL, *APPLIES):
        assert FIELDS[pattern].needed == "should", pattern


# Item by item: mark, who asks for it, and the fields that hold it.
ITEMS: list[tuple[str, str, Iterable[str]]] = [
    ("must", "", ["/schema_version", "/category", "/sub_label", "/discovery/detected_at", "/incident/narrative"]),
    ("case", "C", ["/priority_reason"]),
    ("should", "U", ["/uk_link", "/countries", "/reporter/submitter_role", "/discovery/reported_before"]),
    ("should", "UC", ["/other_references", "/preservation"]),
    ("must", "UC", ["/reporter/organisation", "/reporter/sector", "/reporter/service"]),
    ("must", "U", [f"/reporter/{one}" for one in ("submitter_name", "submitter_email", "submitter_telephone")]),
    ("must", "U", ["/reporter/declaration", "/discovery/discovered_by", "/files/copy_kept_until"]),
    ("should", "C", ["/reporter/police_contacts", "/discovery/human_reviewed", "/discovery/actions"]),
    ("may", "C", ["/reporter/legal_url", "/reporter/terms_excerpt", "/reporter/standing_text"]),
    ("may", "U", ["/reporter/acts_for"]),
    ("may", "", ["/discovery/tool", "/incident/began_at", "/incident/ended_at", "/incident/payments"]),
    ("may", "C", ["/discovery/informational_only", "/incident/tags"]),
    ("must", "C", ["/incident/happened_at", "/incident/time_meaning", "/incident/medium"]),
    (
        "should",
        "",
        ["/incident/is_public", "/incident/off_platform_move", "/incident/meetings", "/incident/harm_signs"],
    ),
    ("should", "C", ["/incident/places"]),
    (
        "should",
        "C",
        [
            f"/incident/places/{one}"
            for one in ("urls", "group_id", "channel", "game", "console", "message_ids", "app_version")
        ],
    ),
    ("should", "", ["/incident/meetings/place", "/incident/meetings/meets_at", "/conversations"]),
    ("may", "", [f"/incident/payments/{one}" for one in ("amount", "currency", "method", "reference")]),
    ("must", "", ["/conversations/thread_id", "/conversations/messages", "/conversations/messages/sender"]),
    (
        "should",
        "",
        [
            f"/conversations/messages/{one}"
            for one in ("message_id", "sent_at", "recipients", "text", "file_id", "ip", "is_deleted")
        ],
    ),
    ("should", "", [f"/conversations/{one}" for one in ("language", "context_before", "context_after")]),
    ("must", "C", ["/suspects/service_user_id"]),
    ("should", "UC", [f"/suspects/{one}" for one in ("username", "display_names", "former_names")]),
    ("should", "UC", [f"/suspects/{one}" for one in ("profile_urls", "biography", "avatar_file_id")]),
    ("should", "C", [f"/suspects/{one}" for one in ("stated_name", "born_on", "stated_age", "age_is_doubtful")]),
    ("should", "UC", [f"/suspects/{one}" for one in ("emails", "all_emails_given", "phones", "logins")]),
    ("should", "UC", [f"/suspects/emails/{one}" for one in ("use", "is_verified", "verified_at")]),
    ("should", "UC", [f"/suspects/phones/{one}" for one in ("calling_code", "type", "verified_at")]),
    ("should", "UC", [f"/suspects/logins/{one}" for one in ("used_at", "port", "event", "is_proxy")]),
    ("may", "UC", ["/suspects/addresses"]),
    ("may", "U", [f"/suspects/{one}" for one in ("payment_ids", "identity_documents", "connections")]),
    ("should", "", ["/suspects/created_at", "/suspects/last_seen_at"]),
    ("should", "C", [f"/suspects/{one}" for one in ("devices", "locations", "earlier_reports", "account_actions")]),
    ("may", "C", [f"/suspects/{one}" for one in ("linked_accounts", "group_ids", "is_compromised", "vehicle")]),
    ("may", "", ["/suspects/position_of_trust"]),
    ("must", "", ["/children/at_risk_now"]),
    (
        "should",
        "C",
        [f"/children/{one}" for one in ("service_user_id", "username", "display_names", "age", "age_band")],
    ),
    ("should", "C", [f"/children/{one}" for one in ("age_basis", "locations", "logins", "devices")]),
    ("may", "C", [f"/children/{one}" for one in ("name", "born_on", "emails", "phones", "addresses", "school")]),
    ("may", "C", ["/children/guardian_account", "/children/earlier_reports"]),
    ("should", "", ["/children/safe_to_contact", "/children/support_offered"]),
    ("should", "C", ["/other_people", "/other_people/service_user_id"]),
    ("should", "", ["/other_people/safe_to_contact", "/other_people/is_under_18"]),
    ("must", "", ["/files/file_id"]),
    ("must", "C", ["/files/relevance", "/files/viewed_by_staff", "/files/exif_viewed_by_staff"]),
    ("should", "C", ["/files/name", "/files/is_public"]),
    ("should", "", ["/files/size_bytes", "/files/media_type"]),
    ("should", "UC", ["/files/hashes", "/files/uploaded_at", "/files/upload_ip", "/files/upload_port", "/files/url"]),
    ("should", "UC", ["/files/upload_device"]),
    ("may", "UC", ["/files/exif"]),
    ("may", "C", ["/files/tags", "/files/industry_class"]),
    ("may", "", ["/files/hash_list"]),
    ("should", "C", ["/police", *(f"/police/{one}" for one in ("country", "officer", "case_number", "legal_process"))]),
    ("should", "UC", [f"/preservation/{one}" for one in ("kept_until", "contact", "hold_reference")]),
]
LETTERS = {"uk": "U", "ncmec": "C"}


@pytest.mark.parametrize(("needed", "askers", "patterns"), ITEMS)
def test_every_item_that_is_asked_for_has_its_field_its_mark_and_its_source(
    needed: str, askers: str, patterns: Iterable[str]
) -> None:
    for pattern in patterns:
        field = FIELDS[pattern]
        assert (field.needed, "".join(LETTERS[one] for one in field.asked_by)) == (needed, askers), pattern
