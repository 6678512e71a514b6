"""The advice library, keyed by kind of report, for the form, the thank-you page and the desk's replies (R27).

Never contains a telephone number except 999: names of helplines are placeholders, e.g. `{childline}`, which the caller
fills.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Generic, Literal, TypeVar, get_args

import msgspec
from msgspec import Meta

from gateway.exchange.public_codes import AGE_BANDS, FORMER_YOUNGEST, YOUNGEST_BANDS
from gateway.web.settings import read_settings
from partner_sdk.wire.button import Language

ADVICE_FOLDER: Final = Path(__file__).parent

T = TypeVar("T", bound=str)


@dataclass(frozen=True, slots=True)
class Lookup(Generic[T]):
    """The value for each answer, and one for all other answers."""

    values: Mapping[str, T]
    otherwise: T

    def find(self, answer: str) -> T:
        """Return the value for an answer."""
        return self.values.get(answer, self.otherwise)


Kind = Literal[
    "extra_nice",
    "shared_things",
    "sexual_talk",
    "asked_for_pictures",
    "on_camera",
    "wants_to_meet",
    "threatens_to_share",
    "made_to_do_things",
    "touched_or_hurt",
    "saw_picture",
    "bullying",
    "account_hacked",
    "something_else",
    "not_sure",
]
# A child about itself, a child about another; an adult about a child, as a professional, or about their own childhood.
Audience = Literal["child", "friend", "adult", "professional", "adult_self"]
AUDIENCES: Final[tuple[Audience, ...]] = get_args(Audience)
KINDS: Final[tuple[str, ...]] = get_args(Kind)
# The reader of each answer to who it is about, and of any other, a code of a later release too.
OF_A_CHILD: Final[Lookup[Audience]] = Lookup({"": "child", "me": "child"}, "friend")
OF_A_GROWN_UP: Final[Lookup[Audience]] = Lookup({"me": "adult_self", "child_i_work_with": "professional"}, "adult")
# Bands of older reports, by the one of today that gets the same advice.
_FORMER_BANDS: Final = {FORMER_YOUNGEST: YOUNGEST_BANDS[0]}
AgeBand = Annotated[str, Meta(pattern=rf"^({'|'.join(AGE_BANDS)})\Z")]
# Codes of the form's answer: the child in the report may self-harm, or the child who reports may.
Feels = Literal["hurting", "reporter_hurting"]

MOST_SPECIAL: Final = 2  # for the kind of report; with more, readers miss the general advice
# The thank-you page has its own, larger text for the first two; "do not pay" is shown beside a threat.
LEFT_OUT: Final = frozenset(
    {
        *("not_your_fault", "tell_an_adult", "do_not_pay"),
        *("adult_not_their_fault", "adult_talk", "adult_do_not_pay"),
        *("friend_not_their_fault", "friend_talk", "self_talk"),
    }
)
UK_EMERGENCY: Final = "999"  # the only number in the texts
_PLACEHOLDER: Final = re.compile(r"\{(\w+)\}")
FIRST: Final = frozenset({"call_999_if_worse", "friend_call_999", "adult_call_999", "self_call_999"})

Sentence = Annotated[str, Meta(min_length=8, pattern=r"[.?!]\Z")]


class Advice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A few sentences that belong together. No `kinds` or no `ages` means all of them; lower `order` comes first.

    `also` names other audiences for the same text. Advice with `feels` is only for that answer, and comes first.
    Advice `with_picture` is left out where the person answered that there is none. `sentences_abroad` replace the
    sentences for a reader in another country, and `sentences_near` where the person whom the report is about lives with
    the child or sees the phone: none at all leaves the advice out. One string may hold several sentences that mean
    nothing without the body that the last one names, e.g. "Is there a picture? {report_remove} can help."
    """

    code: str
    audience: Audience
    order: int
    sentences: Annotated[tuple[Sentence, ...], Meta(min_length=1, max_length=5)]
    kinds: tuple[Kind, ...] = ()
    ages: tuple[AgeBand, ...] = ()
    feels: tuple[Feels, ...] = ()
    also: tuple[Audience, ...] = ()
    with_picture: bool = False
    sentences_abroad: tuple[Sentence, ...] = ()
    sentences_near: tuple[Sentence, ...] | None = None

    @property
    def is_general(self) -> bool:
        """Return whether it applies to every kind, every age and every feeling."""
        return not self.kinds and not self.ages and not self.feels

    def is_for(self, audience: Audience) -> bool:
        """Return whether the text addresses this audience."""
        return audience == self.audience or audience in self.also


class AdviceLibrary(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All advice in one language; `version` identifies the text that a person was shown."""

    version: str
    language: Language
    advice: Annotated[tuple[Advice, ...], Meta(min_length=1)]


def load_advice(language: str) -> AdviceLibrary:
    """Load the library of one language. Raises `SettingsError`: no file, an unknown kind, an unknown key."""
    return read_settings(ADVICE_FOLDER / f"{language}.toml", kind=AdviceLibrary)


def get_audience(*, is_grown_up: bool, who: str) -> Audience:
    """Return the audience for the form's answers; an adult who left `who` blank is reporting about a child."""
    return (OF_A_GROWN_UP if is_grown_up else OF_A_CHILD).find(who)


def get_place(advice: Advice) -> tuple[bool, bool, bool, int, str]:
    """Return the key to sort by: urgent advice first, then the most specific."""
    return (not advice.feels, not advice.kinds, not advice.ages, advice.order, advice.code)


def list_fitting_advice(
    library: AdviceLibrary,
    *,
    kinds: Iterable[str],
    age_band: str | None,
    audience: Audience,
    limit: int,
    feels: str = "",
) -> tuple[Advice, ...]:
    """Return the matching advice, most specific first; `limit` never cuts advice with `feels` or general advice.

    `kinds`, `age_band` and `feels` are the form's option codes; unknown codes are ignored. The result is deterministic.
    """
    wanted = frozenset(kinds)
    age_band = _FORMER_BANDS.get(age_band or "", age_band)
    fitting = [
        advice
        for advice in library.advice
        if advice.is_for(audience)
        and (not advice.kinds or wanted.intersection(advice.kinds))
        and (not advice.ages or age_band in advice.ages)
        and (not advice.feels or feels in advice.feels)
    ]
    fitting.sort(key=get_place)
    urgent = [advice for advice in fitting if advice.feels]
    general = [advice for advice in fitting if advice.is_general]
    special = [advice for advice in fitting if not advice.feels and not advice.is_general]
    return (*urgent, *special[: max(limit - len(general), 0)], *general)


def list_thanks_codes(
    library: AdviceLibrary, *, kinds: Iterable[str], age_band: str, audience: Audience, has_no_picture: bool
) -> list[str]:
    """List the codes of the thank-you page's advice: danger first, then the most specific, then the general."""
    general = sum(one.is_general for one in library.advice if one.is_for(audience))
    found = list_fitting_advice(
        library, kinds=kinds, age_band=age_band, audience=audience, limit=general + MOST_SPECIAL
    )
    codes = [one.code for one in found if one.code not in LEFT_OUT and not (has_no_picture and one.with_picture)]
    return sorted(codes, key=lambda code: code not in FIRST)


def fill_sentences(
    advice: Advice,
    *,
    names: Mapping[str, str | None],
    emergency: str = UK_EMERGENCY,
    is_abroad: bool = False,
    is_near: bool = False,
) -> tuple[str, ...]:
    """Return the sentences with the placeholders filled, for a reader whose emergency number is `emergency`.

    `names` has the bodies by their keys. A sentence that names one without a name here is left out, because the body
    is no help in that country. Raises KeyError for an unknown key.
    """
    sentences = (is_abroad and advice.sentences_abroad) or advice.sentences
    if is_near and advice.sentences_near is not None:
        sentences = advice.sentences_near
    return tuple(
        sentence.replace(UK_EMERGENCY, emergency).format_map(names)
        for sentence in sentences
        if all(names[key] is not None for key in _PLACEHOLDER.findall(sentence))
    )
