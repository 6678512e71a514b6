"""Who reports: the service, the person who submits, whom police may ask, and how it came to be known (R10)."""

from typing import Annotated, Literal

import msgspec

from partner_sdk.report.values import (
    NCMEC,
    UK,
    Address,
    Country,
    Moment,
    NotHeld,
    Short,
    Text,
    YesNoUnknown,
    may,
    must,
    should,
)

Sector = Literal["online", "mobile", "financial", "other"]
DiscoveredBy = Literal["hash_match", "classifier", "moderator", "user_complaint", "employee", "external_tip", "other"]
Action = Literal["none", "content_removed", "account_limited", "account_suspended", "account_closed", "other"]


class PoliceContact(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The single point of contact that police may ask."""

    name: Annotated[Short, must("Name of the person or team.", NCMEC)]
    email: Annotated[Short | NotHeld | None, should("E-mail address.", NCMEC)] = None
    telephone: Annotated[Short | NotHeld | None, should("Telephone number, with country code.", NCMEC)] = None


class Reporter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Who submits, for whom, and the declaration that the law asks for (SI 2026/268)."""

    declaration: Annotated[Literal[True], must("Declaration that all that is reasonably available is in it.", UK)]
    organisation: Annotated[Short, must("Legal name of the organisation.", UK, NCMEC)]
    sector: Annotated[Sector, must("Sector of the organisation.", UK, NCMEC)]
    service: Annotated[Short, must("Service or platform on which it happened.", UK, NCMEC)]
    submitter_name: Annotated[Short, must("Name of the person who submits.", UK)]
    submitter_email: Annotated[Short, must("E-mail address of the person who submits.", UK)]
    submitter_telephone: Annotated[Short, must("Telephone number of the person who submits.", UK)]
    submitter_role: Annotated[Short | NotHeld | None, should("Role or authorised-person id.", UK)] = None
    police_contacts: Annotated[tuple[PoliceContact, ...] | NotHeld, should("Whom police may ask.", NCMEC)] = ()
    country: Annotated[Country | NotHeld | None, may("Country of the organisation (ISO 3166-1).")] = None
    own_reference: Annotated[Short | NotHeld | None, may("Your own number for this.")] = None
    legal_url: Annotated[Address | NotHeld | None, may("Page for law enforcement.", NCMEC)] = None
    terms_excerpt: Annotated[Text | NotHeld | None, may("The term of service that was broken.", NCMEC)] = None
    standing_text: Annotated[Text | NotHeld | None, may("Text that goes with every report of this service.", NCMEC)] = (
        None
    )
    acts_for: Annotated[Short | NotHeld | None, may("The service that a third-party moderator acts for.", UK)] = None


class ActionTaken(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One thing that the service has done already."""

    action: Annotated[Action, must("What was done.", NCMEC)]
    taken_at: Annotated[Moment | NotHeld | None, should("When it was done.", NCMEC)] = None
    user_was_told: Annotated[YesNoUnknown | NotHeld | None, should("Whether the user was told.", NCMEC)] = None


class Discovery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How the service came to know of it, and what it has done."""

    discovered_by: Annotated[DiscoveredBy, must("What found it.", UK)]
    detected_at: Annotated[Moment, must("When it was found.")]
    tool: Annotated[Short | NotHeld | None, may("Name and version of the tool that found it.")] = None
    human_reviewed: Annotated[
        YesNoUnknown | NotHeld | None, should("Whether a person looked at it before it was sent.", NCMEC)
    ] = None
    reported_before: Annotated[YesNoUnknown | NotHeld | None, should("Whether it was reported before.", UK)] = None
    informational_only: Annotated[
        bool | NotHeld | None, may("Whether it is for information only, without action.", NCMEC)
    ] = None
    actions: Annotated[tuple[ActionTaken, ...] | NotHeld, should("What the service has done already.", NCMEC)] = ()
