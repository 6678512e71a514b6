"""The kinds of report: the child's options, their priority, and the urgent ones."""

from gateway.public.journey.fields import Given, KindOption, NotGiven, PriorityRule, UrgentRule
from partner_sdk.wire.public_codes import (
    CALLED,
    CANNOT_CALL,
    HURTING,
    MEETS_SOON,
    MEETS_TODAY,
    NOT_SURE,
    REPORTER_HURTING,
    YES,
    YOUNGEST_BANDS,
)

# The kind of Annex A that each has at the desk is in `gateway/guidance/risk.toml`.
KIND_OPTIONS = (
    KindOption("extra_nice", "P3"),
    KindOption("sexual_talk", "P3"),
    KindOption("wants_to_meet", "P2"),
    KindOption("made_to_do_things", "P2"),
    KindOption("touched_or_hurt", "P2"),
    KindOption("asked_for_pictures", "P2"),
    KindOption("on_camera", "P2"),
    KindOption("threatens_to_share", "P2"),
    KindOption("shared_things", "P3"),
    KindOption("saw_picture", "P3"),
    KindOption("bullying", "P3"),
    KindOption("account_hacked", "P3"),
    KindOption("something_else", "P3"),
    KindOption("not_sure", "P3"),
)
OTHER_WORRIES = ("bullying", "account_hacked")  # out of remit (R7), unless another kind is ticked too
HURT_KINDS = ("made_to_do_things", "touched_or_hurt")
# Without one of these a report is told in words alone, and may be of any kind.
TOLD_KINDS = tuple(option.code for option in KIND_OPTIONS if option.code not in {"something_else", "not_sure"})
ABOUT_PICTURES = ("asked_for_pictures", "on_camera", "threatens_to_share", "shared_things", "saw_picture")

PRIORITY_RULES = (
    PriorityRule(Given("danger", (YES,)), "P1"),
    PriorityRule(Given("meeting_when", MEETS_SOON), "P1"),
    PriorityRule(Given("danger", (NOT_SURE,)), "P2"),
    PriorityRule(Given("kinds", tuple(option.code for option in KIND_OPTIONS if option.priority == "P2")), "P2"),
    PriorityRule(Given("age", YOUNGEST_BANDS), "P2"),
    PriorityRule(Given("their_age", YOUNGEST_BANDS), "P2"),
)

ABOUT_OTHERS = ("friend", "child_i_look_after", "child_i_work_with", "another_child", NOT_SURE)
_DANGER = Given("danger", (YES,))
# All matching rules are shown, in this order: danger to life first.
URGENT_RULES = (
    UrgentRule("cannot_call", (_DANGER, Given("called", (CANNOT_CALL,)))),
    UrgentRule("danger", (_DANGER, NotGiven("called", (CANNOT_CALL, CALLED)))),
    UrgentRule("called", (_DANGER, Given("called", (CALLED,)))),
    UrgentRule("hurting", (Given("feels", (HURTING,)), NotGiven("who", ABOUT_OTHERS))),
    UrgentRule("hurting", (Given("feels", (REPORTER_HURTING,)),)),
    UrgentRule("keep_close", (Given("feels", (HURTING,)), Given("who", ABOUT_OTHERS))),
    UrgentRule("meeting_today", (Given("meeting_when", (MEETS_TODAY,)),)),
    UrgentRule("meeting_soon", (Given("meeting_when", tuple(time for time in MEETS_SOON if time != MEETS_TODAY)),)),
)
