"""What police and other bodies know already, and what the service keeps for them."""

from typing import Annotated, Literal

import msgspec

from partner_sdk.report.values import NCMEC, UK, Country, Moment, NotHeld, Short, Text, YesNoUnknown, may, must, should

Body = Literal["ncmec", "police", "hotline", "child_protection", "other_agency"]


class OtherReference(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The number under which another body has this already, so that nothing is filed twice."""

    body: Annotated[Body, must("What kind of body.", UK, NCMEC)]
    reference: Annotated[Short, must("Its number there.", UK, NCMEC)]
    name: Annotated[Short | NotHeld | None, may("Name of the body.", UK, NCMEC)] = None


class PoliceInformed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Police who were told already."""

    agency: Annotated[Short, must("Which police.", NCMEC)]
    country: Annotated[Country | NotHeld | None, should("Country (ISO 3166-1).", NCMEC)] = None
    officer: Annotated[Short | NotHeld | None, should("Name of the officer.", NCMEC)] = None
    case_number: Annotated[Short | NotHeld | None, should("Their number for it.", NCMEC)] = None
    legal_process: Annotated[YesNoUnknown | NotHeld | None, should("Whether legal process was served.", NCMEC)] = None


class Preservation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What the service keeps for police."""

    what: Annotated[Text, must("What is kept.", UK, NCMEC)]
    kept_until: Annotated[Moment | NotHeld | None, should("Until when it is kept.", UK, NCMEC)] = None
    contact: Annotated[Short | NotHeld | None, should("Whom to ask for it.", UK, NCMEC)] = None
    hold_reference: Annotated[Short | NotHeld | None, should("Reference of the legal hold.", UK, NCMEC)] = None
