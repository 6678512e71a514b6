"""Retention classes as dated data: how long each kind of case is kept after it was closed.

Example: a service's report whose case was closed on 31 August 2026 has the class `content`, and may be destroyed from
31 August 2027.
"""

from datetime import date
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from gateway.desk.uk_times import add_months, get_uk_day_of
from gateway.guidance.dated_data import Source
from gateway.web.settings import read_settings
from partner_sdk.wire.submission import PUBLIC_SENDER

CLASSES_FILE: Final = Path(__file__).with_name("classes.toml")
OWN_CLASSES: Final = "retention.toml"
ClassCode = Literal["content", "public"]


class RetentionClass(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One class; `to_prove` describes the proof that is missing."""

    title: str
    months: Annotated[int, Meta(ge=1, le=1200)]
    checked_on: date
    source: Source
    to_prove: str | None = None


class RetentionClasses(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All classes."""

    content: RetentionClass
    public: RetentionClass
    reference: RetentionClass


def load_classes(state: Path) -> RetentionClasses:
    """Return the classes of a desk: its own file, or the one of the release. Raises `SettingsError`."""
    own = state / OWN_CLASSES
    return read_settings(own if own.is_file() else CLASSES_FILE, kind=RetentionClasses)


def get_class(partner: str) -> ClassCode:
    """Return the class of a case by its sender."""
    return "public" if partner == PUBLIC_SENDER else "content"


def get_due_day(classes: RetentionClasses, code: ClassCode, *, closed_at: str) -> date:
    """Return the day in the United Kingdom from which a case that was closed then may be destroyed."""
    found: RetentionClass = getattr(classes, code)
    return add_months(get_uk_day_of(closed_at), found.months)
