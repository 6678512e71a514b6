"""The rules of a service that a referral may name (`terms.toml`), and its body in the shape of DSA Article 16(2)."""

from datetime import date
from functools import cache
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from gateway.guidance.dated_data import Source
from gateway.web.settings import read_settings
from partner_sdk.wire.action_bodies import AskedAccount, Notifier, ReferralFacts, TermsReferral

TERMS_FILE: Final = Path(__file__).with_name("terms.toml")


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One rule that an account may break."""

    code: Annotated[str, Meta(pattern=r"^[a-z_]{2,40}\Z")]
    title: Annotated[str, Meta(min_length=8, max_length=120)]


class Terms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every text of a referral; `{rule}` in `reasons` is the title of the rule."""

    checked_on: date
    source: Source
    to_prove: str | None = None
    reasons: str
    good_faith: str
    rule: tuple[Rule, ...]


@cache
def load_terms() -> Terms:
    """Return the texts of this release. Raises `SettingsError` (`bad-settings`)."""
    return read_settings(TERMS_FILE, kind=Terms)


def list_rules() -> tuple[tuple[str, str], ...]:
    """Return the code and title of each rule, in the order of the form."""
    return tuple((one.code, one.title) for one in load_terms().rule)


def make_referral(*, account: AskedAccount, rule: str, service: str, notifier: Notifier) -> TermsReferral:
    """Return the body for one account and the code of a rule, every word of it from this release."""
    terms, title = load_terms(), dict(list_rules())[rule]
    location = account.value if account.kind == "link" else f"{_NAMES[account.kind]} {account.value} at {service}"
    return TermsReferral(
        account=account,
        facts=ReferralFacts(
            explanation=f"{terms.reasons.format(rule=f'{title[:1].lower()}{title[1:]}')} {terms.good_faith}",
            good_faith=True,
            locations=(location,),
            notifier=notifier,
        ),
        rule=title,
    )


# The kinds of account that a referral can name, as its location does: each is public at the service or known to it.
_NAMES: Final = {"username": "The account with the user name", "account_id": "The account with the id"}
ACCOUNT_CHOICES: Final = (
    ("username", "User name"),
    ("account_id", "Account id"),
    ("link", "Link to the profile"),
)
