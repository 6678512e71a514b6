"""The table of screens, in the order of a journey, and the rules of priority, urgency and reader."""

from typing import Final

from gateway.exchange.public_codes import (
    ABOUT_OTHERS,
    ABOUT_PICTURES,
    ADULT_BAND,
    AGE_BANDS,
    BY_ADULT,
    BY_CALL,
    BY_EMAIL,
    BY_SCHOOL,
    BY_TEXT,
    CALLED,
    CANNOT_CALL,
    CARERS,
    CONTACT_WAYS,
    HURT_KINDS,
    HURTING,
    MEETING_TIMES,
    MEETS_SOON,
    MEETS_TODAY,
    NO,
    NOT_SURE,
    NOT_UK,
    RATHER_NOT_SAY,
    REGIONS,
    REPORTER_HURTING,
    YES,
    YES_NO_UNSURE,
    YOUNGEST_BANDS,
)
from gateway.exchange.public_report import BLOCK_MAX, SHORT_MAX, STORY_MAX
from gateway.public.journey.fields import Branch, Field, Given, KindOption, NotGiven, PriorityRule, Screen, UrgentRule
from partner_sdk.wire.button import LANGUAGES

SHORT = SHORT_MAX

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
# Without one of these a report is told in words alone, and may be of any kind.
TOLD_KINDS = tuple(option.code for option in KIND_OPTIONS if option.code not in {"something_else", "not_sure"})

LOWEST_PRIORITY: Final = "P3"  # without a rule that matches
PRIORITY_IN_WORDS: Final = "P1"  # of words that speak of danger today (docs/decisions/0024)
PRIORITY_RULES = (
    PriorityRule(Given("danger", (YES,)), "P1"),
    PriorityRule(Given("meeting_when", MEETS_SOON), "P1"),
    PriorityRule(Given("danger", (NOT_SURE,)), "P2"),
    PriorityRule(Given("kinds", tuple(option.code for option in KIND_OPTIONS if option.priority == "P2")), "P2"),
    PriorityRule(Given("age", YOUNGEST_BANDS), "P2"),
    PriorityRule(Given("their_age", YOUNGEST_BANDS), "P2"),
)

ABOUT_OTHER = Given("who", ABOUT_OTHERS)
GROWN_UP = Given("age", (ADULT_BAND,))
ABROAD = Given("region", (NOT_UK,))
# A reader who tells of another child is abroad only if they said so.
STAYS_HERE = (ABOUT_OTHER, NotGiven("there_too", (YES,)))
_DANGER = Given("danger", (YES,))
# Above everything else on the thank-you page: all matching rules, danger to life first. Kept rare, so that they are
# read: "I'm not sure" is not among them.
URGENT_RULES = (
    UrgentRule("cannot_call", (_DANGER, Given("called", (CANNOT_CALL,)))),
    UrgentRule("danger", (_DANGER, NotGiven("called", (CANNOT_CALL, CALLED)))),
    UrgentRule("called", (_DANGER, Given("called", (CALLED,)))),
    UrgentRule("hurting", (Given("feels", (HURTING,)), NotGiven("who", ABOUT_OTHERS))),
    UrgentRule("hurting", (Given("feels", (REPORTER_HURTING,)),)),
    UrgentRule("keep_close", (Given("feels", (HURTING,)), ABOUT_OTHER)),
    UrgentRule("meeting_today", (Given("meeting_when", (MEETS_TODAY,)),)),
    UrgentRule("meeting_soon", (Given("meeting_when", tuple(time for time in MEETS_SOON if time != MEETS_TODAY)),)),
)


WHO_SCREENS = (
    Screen("start", "", "safe_now"),
    Screen("safe_now", "2", "danger"),
    Screen(
        "danger",
        "3",
        "age",
        fields=(
            Field(
                "danger",
                "radios",
                why="decides whether 999 comes before any form (R5, R24)",
                who_uses="the person who reads first, to sort urgent reports to the top",
                what_if_blank="asked again: the one question that cannot wait",
                options=YES_NO_UNSURE,
                required=True,
            ),
        ),
        branches=(Branch("danger_help", (Given("danger", (YES,)),)),),
    ),
    Screen(
        "danger_help",
        "3a",
        "age",
        fields=(
            Field(
                "called",
                "choice",
                why="whether the police already know",
                who_uses="the person who reads first",
                what_if_blank="nothing: every button continues",
                options=(CALLED, CANNOT_CALL, "carry_on"),
            ),
        ),
        shows=("emergency",),
    ),
    Screen(
        "age",
        "4",
        "who",
        fields=(
            Field(
                "age",
                "radios",
                why="selects the wording, the help and the helpline, and whether an answer is owed (R23, R26)",
                who_uses="the person who answers, and the person who assesses the risk",
                what_if_blank="asked again; 'rather not say' counts as under 18, and no date of birth is asked",
                options=AGE_BANDS,
                required=True,
            ),
        ),
    ),
    Screen(
        "who",
        "4b",
        "region",
        fields=(
            Field(
                "who",
                "radios",
                why="a report may be about another child (R12)",
                who_uses="the person who reads, and the wording of the next pages",
                what_if_blank="the next pages address the person",
                options=("me", *ABOUT_OTHERS),
            ),
        ),
        branches=(
            Branch("their_age", (ABOUT_OTHER,)),
            Branch("grown_up", (GROWN_UP,)),
        ),
    ),
    Screen(
        "their_age",
        "5",
        "region",
        fields=(
            Field(
                "their_age",
                "radios",
                why="a younger child is at more risk (R3: separate from the reporter's age)",
                who_uses="the person who assesses the risk",
                what_if_blank="asked again; 'not sure' is an answer",
                options=AGE_BANDS,
                required=True,
            ),
        ),
        branches=(Branch("grown_up", (Given("their_age", (ADULT_BAND,)),)),),
    ),
    Screen("grown_up", "5a", "region", shows=("police_not_urgent", "revenge_porn_helpline")),
    Screen(
        "region",
        "6",
        "kind",
        fields=(
            Field(
                "region",
                "radios",
                why="each part of the country has its own police and helplines",
                who_uses="the person who decides who is best placed to act (R18)",
                what_if_blank="asked again; 'not sure' is an answer",
                options=REGIONS,
                required=True,
            ),
        ),
        branches=(Branch("country", (ABROAD,)),),
    ),
    Screen(
        "country",
        "6a",
        "abroad",
        fields=(
            Field(
                "country",
                "select",
                why="selects the police and the emergency number of that country (R24, R29)",
                who_uses="the person who decides which country's police to inform",
                what_if_blank="the next page lists international help",
                max_characters=SHORT,
            ),
            Field(
                "there_too",
                "radios",
                why="selects the number and the helpers of the place where the reader is",
                who_uses="the next pages, and the person who answers",
                what_if_blank="the reader counts as in the UK",
                options=(YES, NO),
                shown_if=(ABOUT_OTHER,),
            ),
        ),
    ),
    Screen("abroad", "6b", "kind", shows=("abroad",)),
)


CHILD_PLACE = Field(
    "child_place",
    "text",
    why="selects the police force and children's services",
    who_uses="the person who decides who is best placed to act",
    what_if_blank="not known",
)
_TO_MEETING = Branch("meet", (Given("kinds", ("wants_to_meet",)),))
_TO_BLACKMAIL = Branch("blackmail", (Given("kinds", ("threatens_to_share",)),))
_TO_PICTURES = Branch("pictures", (Given("kinds", ABOUT_PICTURES),))
_TO_CHILD = Branch("about_child", (Given("who", CARERS),))

STORY_SCREENS = (
    Screen(
        "kind",
        "7",
        "story",
        fields=(
            Field(
                "kinds",
                "checkboxes",
                why="first classification (Annex A)",
                who_uses="the person who reads first",
                what_if_blank="a few words on the next page are enough",
                options=tuple(option.code for option in KIND_OPTIONS),
            ),
        ),
        branches=(
            # A meeting that may be today comes first: it is a danger to life.
            _TO_MEETING,
            _TO_BLACKMAIL,
            Branch("other_worries", (Given("kinds", OTHER_WORRIES, only=True),)),
            _TO_PICTURES,
        ),
    ),
    Screen("other_worries", "7a", "story", shows=("childline", "report_harmful_content")),
    Screen(
        "meet",
        "7b",
        "story",
        fields=(
            Field(
                "meeting_when",
                "radios",
                why="a meeting soon cannot wait (P1)",
                who_uses="the person who reads first",
                what_if_blank="not known",
                options=MEETING_TIMES,
            ),
            Field(
                "meeting_place",
                "text",
                why="the place to send help to",
                who_uses="the police, if there is danger",
                what_if_blank="not known",
            ),
        ),
        branches=(Branch("do_not_go", (Given("meeting_when", MEETS_SOON),)), _TO_BLACKMAIL, _TO_PICTURES),
    ),
    Screen("do_not_go", "7d", "story", branches=(_TO_BLACKMAIL, _TO_PICTURES), shows=("childline",)),
    # Straight after the tick, or after a meeting: advice against blackmail cannot wait for the end of a form.
    Screen(
        "blackmail",
        "7c",
        "pictures",
        fields=(
            Field(
                "gave_a_time",
                "checkboxes",
                why="a threat with a deadline cannot wait",
                who_uses="the person who reads first",
                what_if_blank="no deadline given or known",
                options=("gave_a_time",),
                joins="kinds",
                shown_if=(Given("kinds", ("threatens_to_share",)),),
            ),
        ),
        shows=("report_remove",),
    ),
    Screen(
        "pictures",
        "8",
        "story",
        fields=(
            Field(
                "pictures",
                "radios",
                why="selects the service that can take a picture down; no picture is ever asked for",
                who_uses="the next page, and the person who reads",
                what_if_blank="not known",
                options=("me", "someone_else", "website", "none", NOT_SURE),
            ),
        ),
        branches=(
            Branch("pictures_grown_up", (Given("pictures", ("me",)), GROWN_UP)),
            Branch("pictures_me", (Given("pictures", ("me",)),)),
            Branch("pictures_website", (Given("pictures", ("website",)),)),
            Branch("pictures_other", (Given("pictures", ("someone_else",)),)),
        ),
    ),
    Screen("pictures_me", "8a", "story", shows=("report_remove",)),
    Screen("pictures_website", "8b", "story", shows=("iwf",)),
    Screen("pictures_grown_up", "8c", "story", shows=("stopncii", "revenge_porn_helpline")),
    Screen("pictures_other", "8d", "story", shows=("report_remove",)),
    Screen(
        "story",
        "9",
        "feels",
        fields=(
            Field(
                "story",
                "textarea",
                why="the person's own words",
                who_uses="the person who reads; the child need not repeat it",
                what_if_blank="fine when a box is ticked on an earlier page",
                needed_without="kinds",
                max_characters=STORY_MAX,
            ),
            Field(
                "when",
                "radios",
                why="recent data is still stored by the service",
                who_uses="the person who reads",
                what_if_blank="not known",
                options=("today", "this_week", "longer_ago", NOT_SURE),
            ),
            Field(
                "still",
                "radios",
                why="ongoing abuse comes first",
                who_uses="the person who reads first",
                what_if_blank="not known",
                options=YES_NO_UNSURE,
            ),
        ),
    ),
    Screen(
        "feels",
        "9a",
        "name",
        fields=(
            Field(
                "feels",
                "radios",
                why="a child who may hurt themselves needs someone to talk to now",
                who_uses="the person who reads first, and the safeguarding adviser",
                what_if_blank="not known",
                options=("all_right", "scared", HURTING, REPORTER_HURTING, RATHER_NOT_SAY),
                # A report about another child asks about that child, and can also be about the person themselves.
                offered_if=((REPORTER_HURTING, (ABOUT_OTHER, NotGiven("age", (ADULT_BAND,)))),),
            ),
        ),
        branches=(
            Branch("keep_close", (Given("feels", (HURTING,)), ABOUT_OTHER)),
            Branch("not_alone", (Given("feels", (HURTING, REPORTER_HURTING)),)),
            _TO_CHILD,
        ),
    ),
    Screen("not_alone", "9b", "name", branches=(_TO_CHILD,), shows=("childline", "samaritans", "shout")),
    Screen("keep_close", "9c", "name", branches=(_TO_CHILD,), shows=("childline", "samaritans", "papyrus")),
    Screen(
        "person",
        "10",
        "safe",
        fields=(
            Field(
                "person_app",
                "text",
                why="the service to ask for stored data",
                who_uses="the person who reads, and the police",
                what_if_blank="not known",
                max_characters=SHORT,
                prefill="service",
            ),
            Field(
                "person_handle",
                "text",
                why="identifies the account on the service",
                who_uses="the person who reads, and the police",
                what_if_blank="not known",
            ),
            Field(
                "person_names",
                "text",
                why="the person's other names",
                who_uses="the person who reads, and the police",
                what_if_blank="not known",
            ),
            Field(
                "more_person",
                "more",
                why="optional details on a page of their own",
                who_uses="the form",
                what_if_blank="the page is skipped",
                options=(YES,),
            ),
        ),
        branches=(Branch("person_more", (Given("more_person", (YES,)),)),),
    ),
    Screen(
        "person_more",
        "10a",
        "safe",
        fields=(
            Field(
                "person_age",
                "text",
                why="an adult who claims to be a child is a risk",
                who_uses="the person who assesses the risk",
                what_if_blank="not known",
                max_characters=SHORT,
            ),
            Field(
                "how_met",
                "text",
                why="how the person found the child",
                who_uses="the person who assesses the risk",
                what_if_blank="not known",
            ),
            Field(
                "in_real_life",
                "radios",
                why="a person in the child's daily life is a higher risk",
                who_uses="the person who assesses the risk",
                what_if_blank="not known",
                options=YES_NO_UNSURE,
            ),
            Field(
                "knows",
                "checkboxes",
                why="a person who knows the home or school can turn up there",
                who_uses="the person who assesses the risk",
                what_if_blank="not known",
                options=("home", "school", "real_name"),
            ),
            Field(
                "told",
                "checkboxes",
                why="avoids informing people twice or by surprise",
                who_uses="the person who answers",
                what_if_blank="not known",
                options=("parent", "friend", "school", "police", "app"),
            ),
        ),
    ),
    Screen(
        "about_child",
        "10c",
        "name",
        fields=(
            Field(
                "relationship",
                "text",
                why="the adult's relation to the child",
                who_uses="the person who answers",
                what_if_blank="not known",
                max_characters=SHORT,
            ),
            Field(
                "child_name",
                "text",
                why="the child to keep safe",
                who_uses="the safeguarding adviser",
                what_if_blank="not known",
                max_characters=SHORT,
            ),
            Field(
                "child_birth",
                "text",
                why="identifies the child",
                who_uses="the safeguarding adviser",
                what_if_blank="not known",
                max_characters=SHORT,
            ),
            CHILD_PLACE,
            Field(
                "child_school",
                "text",
                why="a person there may help",
                who_uses="the safeguarding adviser",
                what_if_blank="not known",
                max_characters=SHORT,
            ),
            Field(
                "child_knows",
                "radios",
                why="the child must not learn of it by surprise",
                who_uses="the person who answers",
                what_if_blank="counts as no",
                options=YES_NO_UNSURE,
            ),
            Field(
                "is_with_you",
                "radios",
                why="whether the child is safe now",
                who_uses="the person who reads first",
                what_if_blank="not known",
                options=YES_NO_UNSURE,
            ),
        ),
        branches=(Branch("about_work", (Given("who", ("child_i_work_with",)),)),),
    ),
    Screen(
        "about_work",
        "10d",
        "name",
        fields=(
            Field(
                "organisation",
                "text",
                why="the recipient of the answer",
                who_uses="the person who answers",
                what_if_blank="not known",
            ),
            Field(
                "role",
                "text",
                why="decides how much the answer may reveal",
                who_uses="the person who answers",
                what_if_blank="not known",
                max_characters=SHORT,
            ),
            Field(
                "already_told",
                "checkboxes",
                why="local police or children's services may already have the report",
                who_uses="the person who reads first",
                what_if_blank="not reported elsewhere",
                options=("police", "childrens_services"),
            ),
            Field(
                "other_reference",
                "text",
                why="finds the earlier report",
                who_uses="the person who reads first",
                what_if_blank="none",
                max_characters=SHORT,
            ),
        ),
    ),
)


_TO_MORE = Branch("person", (Given("more", (YES,)),))

REACH_SCREENS = (
    Screen(
        "name",
        "11",
        "reach",
        fields=(
            Field(
                "name",
                "text",
                why="reports are not anonymous (R25); a first name is enough",
                who_uses="the person who answers",
                what_if_blank="asked again, with a link to services that take anonymous reports",
                required=True,
            ),
        ),
    ),
    Screen(
        "reach",
        "12",
        "check",
        fields=(
            Field(
                "contact_ways",
                "checkboxes",
                why="an answer must reach only the child",
                who_uses="the person who answers",
                what_if_blank="asked again; an adult or the school can be the way",
                options=CONTACT_WAYS,
                required=True,
            ),
            Field(
                "adult",
                "text",
                why="the adult's name, and a way to reach them",
                who_uses="the person who answers",
                what_if_blank="asked again where an adult was picked",
                goes_with=Given("contact_ways", (BY_ADULT,)),
            ),
            Field(
                "school",
                "text",
                why="the school, and the person to ask for",
                who_uses="the person who answers",
                what_if_blank="asked again where the school was picked",
                goes_with=Given("contact_ways", (BY_SCHOOL,)),
            ),
            Field(
                "phone",
                "text",
                why="the number to call or text",
                who_uses="the person who answers",
                what_if_blank="asked again where a call or a text was picked",
                max_characters=SHORT,
                goes_with=Given("contact_ways", (BY_CALL, BY_TEXT)),
            ),
            Field(
                "email",
                "text",
                why="the address to write to",
                who_uses="the person who answers",
                what_if_blank="asked again where email was picked",
                goes_with=Given("contact_ways", (BY_EMAIL,)),
            ),
            Field(
                "near",
                "radios",
                why="an answer must not reach someone who lives there or sees the phone",
                who_uses="the person who answers",
                what_if_blank="not known: nothing is sent automatically",
                options=YES_NO_UNSURE,
            ),
            Field(
                "who_must_not_know",
                "text",
                why="people whom the agency must not contact",
                who_uses="everyone who works on the report",
                what_if_blank="not known",
                max_characters=BLOCK_MAX,
            ),
        ),
        # Hurt by someone near, or told in words alone: help has to come to a place. A carer was asked for it before.
        branches=(
            Branch("home", (Given("kinds", HURT_KINDS), Given("near", (YES,)), NotGiven("who", CARERS))),
            Branch("home", (NotGiven("kinds", TOLD_KINDS), Given("near", (YES,)), NotGiven("who", CARERS))),
            _TO_MORE,
        ),
    ),
    Screen("home", "12c", "check", fields=(CHILD_PLACE,), branches=(_TO_MORE,)),
    Screen(
        "safe",
        "12a",
        "check",
        fields=(
            Field(
                "who_sees",
                "radios",
                why="a call may be picked up by the wrong person",
                who_uses="the person who answers",
                what_if_blank="counts as yes: the caller does not mention the reason for the call",
                options=YES_NO_UNSURE,
                shown_if=(Given("contact_ways", (BY_CALL, BY_TEXT, BY_EMAIL)),),
            ),
            Field(
                "may_say_who_we_are",
                "radios",
                why="whether the caller may mention our name to others",
                who_uses="the person who answers",
                what_if_blank="counts as no",
                options=YES_NO_UNSURE,
                shown_if=(Given("contact_ways", (BY_CALL, BY_ADULT)),),
            ),
            Field(
                "contact_times",
                "text",
                why="a safe time",
                who_uses="the person who answers",
                what_if_blank="any time of day",
                max_characters=SHORT,
            ),
            Field(
                "may_send_note",
                "radios",
                why="a note of receipt is sent only if that is safe (R22)",
                who_uses="the desk, which sends it",
                what_if_blank="counts as no: nothing is sent automatically",
                options=(YES, NO),
                # Offered only if the desk would send it: never for the youngest or an unknown age (each age is required
                # where it is asked), and only if the person is not near.
                shown_if=(
                    Given("contact_ways", (BY_TEXT, BY_EMAIL)),
                    NotGiven("age", (*YOUNGEST_BANDS, RATHER_NOT_SAY)),
                    NotGiven("their_age", (*YOUNGEST_BANDS, RATHER_NOT_SAY)),
                    Given("near", (NO,)),
                ),
            ),
            Field(
                "safe_word",
                "text",
                why="proves to the child that the caller is the agency",
                who_uses="the person who answers",
                what_if_blank="none is used",
                max_characters=SHORT,
            ),
            Field(
                "more_safe",
                "more",
                why="optional details on a page of their own",
                who_uses="the form",
                what_if_blank="the page is skipped",
                options=(YES,),
            ),
        ),
        branches=(Branch("safe_more", (Given("more_safe", (YES,)),)),),
    ),
    Screen(
        "safe_more",
        "12b",
        "check",
        fields=(
            Field(
                "call_language",
                "radios",
                why="the language of the answer",
                who_uses="the person who answers",
                what_if_blank="the language of the form",
                options=(*LANGUAGES, "other"),
            ),
            Field(
                "other_language",
                "text",
                why="the interpreter needed",
                who_uses="the person who answers",
                what_if_blank="none",
                max_characters=SHORT,
                goes_with=Given("call_language", ("other",)),
                is_needed_with=False,
            ),
            Field(
                "access_needs",
                "checkboxes",
                why="adapts the answer to the person's needs",
                who_uses="the person who answers",
                what_if_blank="none",
                options=("bsl", "relay_uk", "easy_read", "adult_helper"),
            ),
        ),
    ),
    Screen(
        "check",
        "14",
        "thanks",
        fields=(
            Field(
                "more",
                "more",
                why="optional details are asked only after Send is there to press",
                who_uses="the form",
                what_if_blank="the screens about the person and about safe contact are skipped",
                options=(YES,),
            ),
        ),
    ),
    Screen("thanks", "15", "thanks"),
)
