"""The urgency of a report: every possible answer is weighed or listed as meaning nothing, by its code."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
from msgspec import inspect

from gateway.desk.cases.choices import KINDS as KIND_TITLES
from gateway.desk.collection.row_checks import UNTOLD, assess, get_filed_kind
from gateway.exchange.public_codes import (
    CONTEXT_REFUSED_SIGNAL,
    FAST_SIGNAL,
    FORMER_YOUNGEST,
    HONEYPOT_SIGNAL,
    LIMITED_SIGNAL,
)
from gateway.exchange.public_report import PublicReport, encode_public_report, parse_public_report
from gateway.guidance import risk
from gateway.guidance.risk import RiskRules, combine, list_reasons, load_rules, read_rules
from gateway.public.journey import FIELD_BY_NAME, KIND_OPTIONS, get_priority, keep_on_path, list_urgent
from gateway.public.sending import get_urgency
from gateway.public.sending import make_public_report as make_report_of_form
from gateway.public.visit import Draft
from gateway.web.settings import SettingsError
from partner_sdk.report import NotHeld, SealedIndustryReport, list_given
from partner_sdk.report.model import Child
from partner_sdk.report.model import Meeting as ProposedMeeting
from partner_sdk.report.outline import get_report_type, get_value_type
from partner_sdk.wire.submission import ClearFields
from tests.builders import make_clear_fields, make_industry_report
from tests.public_report_builders import make_known_person, make_public_report

# requirements.md, table 7, with the way on that the paper leaves open; no kind is known of what is told in words alone.
FILED_KINDS = {
    "extra_nice": "grooming",
    "sexual_talk": "sexual_talk",
    "wants_to_meet": "meet_offline",
    "made_to_do_things": "coercion_blackmail",
    "touched_or_hurt": "contact_abuse",
    "asked_for_pictures": "grooming",
    "on_camera": "sexual_acts_live",
    "threatens_to_share": "coercion_blackmail",
    "shared_things": "risk_behaviour",
    "saw_picture": "something_else",
    "bullying": "something_else",
    "account_hacked": "something_else",
    "something_else": UNTOLD,
    "not_sure": UNTOLD,
}
RECEIVED_AT = datetime(2026, 11, 25, 12, tzinfo=UTC)
CALM: dict[str, Any] = {"danger": "no", "age_band": "16_17", "under_18": "no", "clear": make_clear_fields("public")}


def weigh(**answers: Any) -> tuple[str, ...]:
    return assess(make_public_report(**(CALM | answers)), received_at=RECEIVED_AT).factors


def weigh_partners(clear: dict[str, Any] | None = None, **changes: Any) -> tuple[str, ...]:
    fields = make_clear_fields("example-chat", **({"priority": "P3"} | (clear or {})))
    report = make_industry_report(**({"children": (Child(at_risk_now="no", age=16),)} | changes))
    return assess(SealedIndustryReport(clear=fields, report=report), received_at=RECEIVED_AT).factors


def list_answers(value: Any, path: str = "") -> Iterator[str]:
    """Yield every code of a form's report, as path=value; words and values that the machine adds are no codes."""
    if isinstance(value, dict):
        for name, part in value.items():
            yield from list_answers(part, f"{path}.{name}" if path else name)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from list_answers(part, path)
    elif value:
        yield f"{path}={value}"


def is_covered(answer: str, rules: RiskRules, *, door: str) -> bool:
    """Return whether an answer is weighed, or listed by itself or by a field above it; never both."""
    weighed = answer in {one for factor in rules.factor for one in getattr(factor, door)}
    path = answer.partition("=")[0].split(".")
    above = {".".join(path[:depth]) for depth in range(1, len(path) + 1)}
    nothing = set(getattr(rules.nothing, door))
    listed = answer in nothing or not above.isdisjoint(nothing)
    assert not (weighed and listed), f"{answer} is weighed and listed as meaning nothing"
    return weighed or listed


def make_report(answers: dict[str, list[str]], clear: ClearFields | None = None) -> PublicReport:
    draft: Any = Draft(report_id="", started_at="", language="en")
    report = make_report_of_form(draft, answers, environment="live")
    return msgspec.structs.replace(
        report, clear=clear or make_clear_fields("public"), submitted_at="2026-11-25T12:00:00Z"
    )


def test_every_option_of_the_form_is_weighed_or_listed_as_meaning_nothing() -> None:
    rules, forgotten, asked = load_rules(), [], 0
    blank = set(list_answers(msgspec.to_builtins(make_report({}))))
    for name, field in FIELD_BY_NAME.items():
        for option in field.options:
            # As an answer about oneself and about another child: some land in another field then.
            for who in ("me", "friend"):
                report = make_report({"who": [who]} | {name: [option]})
                said = set(list_answers(msgspec.to_builtins(report))) - blank
                forgotten += [f"{name}: {one}" for one in said if not is_covered(one, rules, door="public")]
                asked += 1
    assert forgotten == []
    assert asked >= 2 * 100


def test_every_mark_of_the_form_is_listed() -> None:
    for signal in (HONEYPOT_SIGNAL, FAST_SIGNAL, LIMITED_SIGNAL, CONTEXT_REFUSED_SIGNAL):
        assert is_covered(f"signals={signal}", load_rules(), door="public")


def list_codes(kind: inspect.Type, path: str = "") -> Iterator[str]:
    """Yield every value of every enumeration of the partner's model, as path=value."""
    bare = get_value_type(kind)
    if isinstance(bare, inspect.StructType):
        for field in bare.fields:
            yield from list_codes(field.type, f"{path}.{field.name}" if path else field.name)
    elif isinstance(bare, inspect.VarTupleType):
        yield from list_codes(bare.item_type, path)
    elif isinstance(bare, inspect.LiteralType):
        yield from (f"{path}={value}" for value in bare.values)


def test_every_enum_value_of_a_partners_report_is_weighed_or_listed_as_meaning_nothing() -> None:
    codes = list(list_codes(get_report_type()))
    assert [one for one in codes if not is_covered(one, load_rules(), door="partner")] == []
    assert len(codes) > 150


def test_rules_name_only_answers_that_exist() -> None:
    rules, codes = load_rules(), set(list_codes(get_report_type()))
    given = {one for factor in rules.factor for one in factor.partner}
    listed = {one for one in rules.nothing.partner if "=" in one}
    assert given | listed <= codes
    public: set[str] = set()
    for name, field in FIELD_BY_NAME.items():
        for option in field.options:
            for who in ("me", "friend"):
                public |= set(list_answers(msgspec.to_builtins(make_report({"who": [who]} | {name: [option]}))))
    # Older reports hold the band that was one answer.
    public |= {f"{name}={FORMER_YOUNGEST}" for name in ("age_band", "reporter_age_band")}
    marks = {f"signals={one}" for one in (HONEYPOT_SIGNAL, FAST_SIGNAL, LIMITED_SIGNAL, CONTEXT_REFUSED_SIGNAL)}
    given = {one for factor in rules.factor for one in factor.public}
    listed = {one for one in rules.nothing.public if "=" in one}
    assert given | listed <= public | marks


@pytest.mark.parametrize(
    ("answers", "factor"),
    [
        ({"danger": "not_sure"}, "danger_unsure"),
        ({"danger": ""}, "danger_unsure"),
        ({"still": "not_sure"}, "still_unsure"),
        ({"age_band": ""}, "age_unsaid"),
        ({"age_band": "rather_not_say"}, "age_unsaid"),
        ({"feels": "rather_not_say"}, "feels_unsaid"),
        ({"pictures": "not_sure"}, "pictures_unsure"),
    ],
)
def test_not_sure_and_skipped_are_never_as_safe_as_no(answers: dict[str, Any], factor: str) -> None:
    assert weigh() == ()
    assert weigh(**answers) == (factor,)


def test_child_who_names_no_adult_is_alone_with_it_and_a_friend_does_not_change_that() -> None:
    assert "told_no_adult" in weigh(under_18="yes", who="me")
    assert "told_no_adult" in weigh(under_18="", who="", told=("friend", "app"))
    for told in (("parent",), ("friend", "school"), ("police",)):
        assert "told_no_adult" not in weigh(under_18="yes", who="me", told=told)
    assert "told_no_adult" not in weigh(under_18="no", who="child_i_look_after")


def test_blank_answers_of_an_addition_say_nothing() -> None:
    clear = make_clear_fields("public", kind="supplement", earlier_reference="K7QF-2M9TX-D")
    assert weigh(clear=clear, danger="", age_band="", under_18="yes") == ()


@pytest.mark.parametrize(
    ("meets_at", "factor"),
    [
        ("2026-11-25T18:00:00Z", "meeting_today"),
        ("2026-11-25T02:00:00Z", "meeting_today"),
        ("2026-11-28T18:00:00Z", "meeting_soon"),
        ("2026-12-24T18:00:00Z", "meeting_asked"),
        ("2026-10-01T18:00:00Z", "meeting_asked"),
        ("2026-02-31T18:00:00Z", "meeting_asked"),
        (None, "meeting_asked"),
        (NotHeld(not_held="unknown"), "meeting_asked"),
    ],
)
def test_partners_meeting_is_as_urgent_as_it_is_soon(meets_at: Any, factor: str) -> None:
    example = make_industry_report()
    meetings = (ProposedMeeting(meets_at=meets_at),)
    found = weigh_partners(incident=msgspec.structs.replace(example.incident, meetings=meetings, harm_signs=()))
    assert [code for code in found if code.startswith("meeting")] == [factor]


@pytest.mark.parametrize(
    ("child", "factor"),
    [
        ({"age": 12}, "under_13"),
        ({"age": 13}, "teenager"),
        ({"age_band": "11_12"}, "under_13"),
        ({"born_on": "2013-11-26"}, "under_13"),
        ({"born_on": "2013-11-25"}, "teenager"),
        ({"born_on": "2013"}, "under_13"),
        ({"born_on": "2013-11"}, "under_13"),
        ({"born_on": "2012-12"}, "teenager"),
        ({}, "age_unsaid"),
        ({"age": NotHeld(not_held="not_collected")}, "age_unsaid"),
        ({"age_band": "under_18"}, "age_unsaid"),
    ],
)
def test_age_of_a_partners_child_is_the_youngest_that_is_possible(child: dict[str, Any], factor: str) -> None:
    found = weigh_partners(children=(Child(at_risk_now="no", **child),))
    assert [code for code in found if code in {"under_13", "teenager", "age_unsaid"}] == [factor]


def test_several_children_position_of_trust_payments_and_earlier_reports_are_derived() -> None:
    example = make_industry_report()
    children = (Child(at_risk_now="no", age=16, earlier_reports=("A",)), Child(at_risk_now="unknown", age=17))
    suspects = (msgspec.structs.replace(list_given(example.suspects)[0], position_of_trust="coach"),)
    found = weigh_partners(children=children, suspects=suspects, clear={"priority": "P1"})
    assert {"several_children", "has_charge", "reported_before", "danger_unsure", "p1_stated"} <= set(found)


def test_priority_counts_as_it_is_stated_and_a_childs_p2_is_what_its_answers_say() -> None:
    assert "p1_stated" in weigh(clear=make_clear_fields("public", priority="P1"))
    assert weigh(clear=make_clear_fields("public", priority="P2")) == ()
    assert "p2_stated" in weigh_partners({"priority": "P2"})


def test_combination_counts_on_top_of_what_it_is_made_of_also_when_two_reports_say_it_together() -> None:
    one, other = "near knows_home", "still_going_on"
    assert (combine(one).crisis, combine(other).crisis) == (False, False)
    together = combine(one, other)
    assert together.crisis
    assert together.score == combine(one).score + combine(other).score + 40
    assert together.factors[0] == "can_turn_up"


YOUNG = {"age_band": "under_12", "reporter_age_band": "under_12"}
MAY_BE_NEAR = {"person": make_known_person(near="not_sure")}
MAY_BE_NEAR_AND_KNOWS_HOME = {"person": make_known_person(near="not_sure", knows=("home", "school"))}
MADE_TO = {"kinds": ("made_to_do_things",)}
TOUCHED, THREAT = {"kinds": ("touched_or_hurt",)}, {"kinds": ("threatens_to_share",)}


@pytest.mark.parametrize(
    ("answers", "combination"),
    [
        (YOUNG | TOUCHED | MAY_BE_NEAR_AND_KNOWS_HOME | {"still": "not_sure", "danger": "not_sure"}, "young_and_hurt"),
        (YOUNG | TOUCHED | {"feels": "scared"}, "young_and_hurt"),
        # Older reports hold a band that the form no longer offers.
        ({"age_band": "12_or_under"} | TOUCHED | {"feels": "scared"}, "young_and_hurt"),
        ({"reporter_age_band": "12_or_under"} | TOUCHED | {"feels": "scared"}, "young_and_hurt"),
        (THREAT | MAY_BE_NEAR_AND_KNOWS_HOME | {"still": "yes"}, "may_turn_up"),
        (THREAT | MAY_BE_NEAR_AND_KNOWS_HOME | {"still": "not_sure"}, "may_turn_up"),
        (THREAT | {"when": "this_week", "still": "yes", "pictures": "me", "under_18": "yes"}, "sextortion_runs"),
        (THREAT | {"still": "not_sure", "pictures": "me"}, "sextortion_runs"),
        (THREAT | {"when": "today", "pictures": "me"}, "sextortion_runs"),
        (THREAT | {"when": "today", "still": "not_sure"}, "threat_runs"),
        (TOUCHED | {"still": "not_sure"}, "hurt_and_going_on"),
        (TOUCHED | {"danger": "not_sure"}, "hurt_and_going_on"),
        (TOUCHED | {"when": "today"}, "hurt_and_going_on"),
        (TOUCHED | MAY_BE_NEAR, "hurt_at_home"),
        (YOUNG | MAY_BE_NEAR_AND_KNOWS_HOME | {"still": "not_sure"}, "may_turn_up"),
        (YOUNG | {"kinds": ("on_camera",), "still": "not_sure"}, "young_and_made_to"),
        ({"kinds": ("on_camera",), "when": "today", "still": "not_sure"}, "live_abuse"),
        (YOUNG | MADE_TO | {"when": "today"}, "young_and_made_to"),
        (YOUNG | MADE_TO | {"when": "this_week"}, "young_and_made_to"),
        (MADE_TO | {"person": make_known_person(near="yes")}, "hurt_at_home"),
        (MADE_TO | MAY_BE_NEAR, "hurt_at_home"),
    ],
)
def test_not_sure_beside_abuse_a_threat_or_a_young_child_is_a_crisis(answers: dict[str, Any], combination: str) -> None:
    found = assess(make_public_report(**(CALM | answers)), received_at=RECEIVED_AT)
    assert combination in found.factors
    assert found.crisis


@pytest.mark.parametrize(
    "answers",
    [
        TOUCHED | {"still": "no", "when": "longer_ago"},
        THREAT | {"pictures": "me", "still": "no", "when": "longer_ago"},
        THREAT | {"still": "not_sure"},
        YOUNG | MADE_TO | {"when": "longer_ago"},
        MADE_TO | {"when": "this_week"},
        YOUNG | {"kinds": ("asked_for_pictures",), "still": "not_sure"},
        MAY_BE_NEAR_AND_KNOWS_HOME | {"kinds": ("sexual_talk",), "still": "not_sure"},
    ],
)
def test_what_is_over_or_is_no_more_than_one_sign_stands_in_the_queue(answers: dict[str, Any]) -> None:
    assert not assess(make_public_report(**(CALM | answers)), received_at=RECEIVED_AT).crisis


def choose_answers(chance: Random) -> dict[str, list[str]]:
    """Answer each question of the form with nothing or one of its options; a list with two."""
    said: dict[str, list[str]] = {}
    for name, field in FIELD_BY_NAME.items():
        if field.options and chance.random() < 0.5:
            said[name] = chance.sample(field.options, min(2, len(field.options)) if field.kind == "checkboxes" else 1)
    return said


def test_form_promises_by_the_lane_in_which_the_desk_puts_the_report() -> None:
    draft, chance, lanes = Draft(report_id="", started_at="", language="en"), Random(11), []
    for _ in range(1500):
        said = keep_on_path(choose_answers(chance))
        clear = make_clear_fields("public", priority=get_priority(said))
        report = parse_public_report(encode_public_report(make_report(said, clear=clear)))
        filed = assess(report, received_at=RECEIVED_AT)
        assert get_urgency(draft, make_report_of_form(draft, said, environment="live")) == filed.urgency, said
        lanes.append((filed.crisis, bool(list_urgent(said))))
    # Enough of each, and of those that no rule of the urgent block names.
    assert min(lanes.count(one) for one in ((True, False), (True, True), (False, False))) > 50
    assert (False, True) not in lanes


def test_deadline_of_a_threat_is_asked_beside_it_alone_and_puts_the_report_into_the_crisis_lane() -> None:
    threat, field = {"kinds": ["threatens_to_share"], "danger": ["no"]}, FIELD_BY_NAME["gave_a_time"]
    assert field.is_shown(threat)
    assert not field.is_shown({"kinds": ["on_camera"]})
    said = make_report(threat | {"gave_a_time": list(field.options)})
    assert said.kinds == ("threatens_to_share", "gave_a_time")
    before, after = (assess(one, received_at=RECEIVED_AT) for one in (make_report(threat), said))
    assert (before.crisis, after.crisis) == (False, True)
    assert {"deadline", "threat_with_deadline"} == set(after.factors) - set(before.factors)
    assert after.score == before.score + 70
    alone = make_public_report(**(CALM | {"kinds": ("gave_a_time",)}))
    assert assess(alone, received_at=RECEIVED_AT) == risk.Risk(crisis=False, score=30, factors=("deadline",))


def test_codes_of_another_release_count_nothing_and_are_shown_as_they_are() -> None:
    assert combine("long_gone near").factors == ("near",)
    assert [(one.points, one.reason) for one in list_reasons("long_gone")] == [(0, "long_gone")]


def test_nothing_can_lower_a_report() -> None:
    rules = load_rules()
    assert min(one.points for one in (*rules.factor, *rules.combination)) > 0
    assert all(one.reason[0].isupper() and "_" not in one.reason for one in (*rules.factor, *rules.combination))


@pytest.mark.parametrize(
    ("written", "instead"),
    [
        ('code = "near"\n', 'code = "self_harm"\n'),
        ("points = 35\n", "points = -35\n"),
        ('all_of = [["threat"], ["pictures_shared"]]', 'all_of = [["threats"], ["pictures_shared"]]'),
        ('public = ["feels=scared"]', 'public = ["feels=hurting"]'),
        ('derived = ["payments"]', 'derived = ["payment"]'),
        ("points = 120\n", 'points = 120\nweight = "heavy"\n'),
        ('reason = "Several children"', 'reason = ""'),
    ],
)
def test_file_that_contradicts_itself_is_refused(tmp_path: Path, written: str, instead: str) -> None:
    text = Path(risk.__file__).with_name("risk.toml").read_text()
    assert text.count(written) == 1
    path = tmp_path / "risk.toml"
    path.write_text(text.replace(written, instead))
    with pytest.raises(SettingsError) as caught:
        read_rules(path)
    assert caught.value.reason == "bad-settings"
    assert read_rules(Path(risk.__file__).with_name("risk.toml")) == load_rules()


def test_only_codes_come_out_for_any_text() -> None:
    report = make_public_report(story="Quetzal", name="Quetzal", feels="hurting")
    assert "Quetzal" not in assess(report, received_at=RECEIVED_AT).text


def find_kind_of(**answers: Any) -> str:
    report = make_public_report(**(CALM | answers))
    return get_filed_kind(report, assess(report, received_at=RECEIVED_AT))


def test_ticks_give_a_report_its_kind_at_filing_the_gravest_of_several():
    assert {option.code: find_kind_of(kinds=(option.code,)) for option in KIND_OPTIONS} == FILED_KINDS
    assert [find_kind_of(), find_kind_of(danger="yes", still="yes")] == [UNTOLD, UNTOLD]
    assert find_kind_of(kinds=("sexual_talk", "threatens_to_share", "bullying")) == "coercion_blackmail"
    assert find_kind_of(kinds=("not_sure",), pictures="me") == "risk_behaviour"
    assert {one.code for one in load_rules().kind} == {code for code, _ in KIND_TITLES} | {"contact_abuse"}


def test_kind_of_a_partners_report_is_its_own_answer():
    report = SealedIndustryReport(clear=make_clear_fields("example-chat"), report=make_industry_report())
    kind = get_filed_kind(report, assess(report, received_at=RECEIVED_AT))
    assert kind == report.report.category != "sexual_acts_live"


def test_rules_with_a_kind_of_an_unknown_factor_are_refused(tmp_path: Path):
    file = tmp_path / "risk.toml"
    rules = Path(risk.__file__).with_name("risk.toml").read_text()
    file.write_text(rules.replace('["saw_picture"]', '["saw_nothing"]'))
    with pytest.raises(SettingsError, match="a kind names an unknown factor"):
        read_rules(file)
