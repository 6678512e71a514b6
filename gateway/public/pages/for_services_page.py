"""Makes the page for services: what the button is, the form that asks for it, and the page of thanks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from gateway.public.actions import Action
from gateway.public.door import PublicDoor
from gateway.public.journey import ReaderProfile
from gateway.public.pages.frame import FormState, render_page
from gateway.public.visiting.service_form import FIELDS, FieldKind, ServiceFault, ServiceField, Typed
from gateway.public.wording.languages import get_language
from gateway.public.wording.service_words import ServiceWords
from partner_sdk.button.release import ICON_PATH, SCRIPT_PATH
from partner_sdk.button.snippet import WORDS as BUTTON_WORDS

NoticeName = Literal["again", "slow", "full", "not_sent", "not_ready"]
BLANK: Final[Typed] = {field.name: [] if field.options else [""] for field in FIELDS}


@dataclass(frozen=True, slots=True)
class OptionView:
    """One option as the template shows it."""

    code: str
    label: str
    target: str
    is_picked: bool
    extra: None = None


@dataclass(frozen=True, slots=True)
class FieldView:
    """One field as the template shows it."""

    name: str
    kind: FieldKind
    label: str
    hint: str
    fault: str
    value: str
    autocomplete: str
    options: tuple[OptionView, ...]


def render_for_services(
    door: PublicDoor,
    typed: Typed,
    form: FormState,
    *,
    faults: Sequence[ServiceFault] = (),
    notice: NoticeName | None = None,
) -> str:
    """Render the page with its form; everything typed is still there."""
    words = door.service_words[get_language()]
    kinds = {fault.field.name: fault.kind for fault in faults}
    views = [_make_view(field, typed, words, fault=kinds.get(field.name)) for field in FIELDS]
    return render_page(
        door,
        "for_services.html",
        profile=ReaderProfile("professional"),
        form=form,
        ways="buttons",
        default_action=Action.SEND,
        title=words["title"],
        page=words,
        button=BUTTON_WORDS[get_language()],
        icon_path=ICON_PATH,
        sections=_fill_in(words["sections"], agency=door.agency_name),
        fields_shown=views,
        has_faults=bool(faults),
        faults=[{"target": _get_target(view), "text": view.fault} for view in views if view.fault],
        notice=None if notice is None else _make_notice(door, words, notice),
    )


def render_for_services_sent(door: PublicDoor, form: FormState, *, request_id: str | None) -> str:
    """Render the page of thanks, with the request's id if one was kept, and what happens next."""
    words = door.service_words[get_language()]
    return render_page(
        door,
        "for_services_sent.html",
        profile=ReaderProfile("professional"),
        form=form,
        ways="buttons",
        title=words["sent"]["title"],
        page=words,
        points=[point.format(agency=door.agency_name) for point in words["sent"]["points"]],
        request=None if request_id is None else words["sent"]["request"].format(request_id=request_id),
        icon_path=ICON_PATH,
        script_path=SCRIPT_PATH,
    )


def _make_view(field: ServiceField, typed: Typed, words: ServiceWords, *, fault: str | None) -> FieldView:
    said = words["field"][field.name]
    hints = [said.get("hint", ""), "" if field.is_required else words["form"]["optional"]]
    labels = said.get("options", words["form"])
    return FieldView(
        name=field.name,
        kind=field.kind,
        label=said["label"],
        hint=" ".join(hint for hint in hints if hint),
        fault="" if fault is None else said[fault],
        value="" if field.options else "".join(typed[field.name]),
        autocomplete=field.autocomplete,
        options=tuple(
            OptionView(
                code=code,
                label=labels[code],
                target=f"{field.name}-{code}",
                is_picked=code in typed[field.name],
            )
            for code in field.options
        ),
    )


def _get_target(view: FieldView) -> str:
    return view.options[0].target if view.options else view.name


def _make_notice(door: PublicDoor, words: ServiceWords, name: NoticeName) -> Mapping[str, Any]:
    lead = list(words["notice"][name]["lead"])
    if name == "full":
        ways = words["notice"]["other_way"]
        lead.append(ways["contact"].format(contact=door.agency_contact) if door.agency_contact else ways["later"])
    return {"title": words["notice"][name]["title"], "lead": lead, "posts": []}


def _fill_in(sections: Sequence[Mapping[str, Any]], *, agency: str) -> list[Mapping[str, Any]]:
    return [
        {"heading": section["heading"], "points": [point.format(agency=agency) for point in section["points"]]}
        for section in sections
    ]
