"""What happened, where, and what was said: the incident and the messages that show it."""

from typing import Annotated, Literal

import msgspec

from partner_sdk.report.values import (
    NCMEC,
    Address,
    Amount,
    Currency,
    LanguageTag,
    Moment,
    Narrative,
    NotHeld,
    Short,
    Text,
    YesNoUnknown,
    may,
    must,
    should,
)

Medium = Literal[
    "web_page",
    "email",
    "forum",
    "chat",
    "game",
    "live_stream",
    "voice_video",
    "phone_sms",
    "payment",
    "peer_to_peer",
    "ai_tool",
    "offline",
]
Tag = Literal[
    "sextortion",
    "solicitation",
    "minor_to_minor",
    "spam",
    "sadistic_exploitation",
    "livestream",
    "ai_generated",
    "self_generated",
]
HarmSign = Literal["threat_to_life", "self_harm", "meeting_soon", "ongoing_abuse", "lives_with_child", "other"]
MessageType = Literal["text", "picture", "video", "voice", "file", "link", "call", "system", "other"]


class Place(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where on the service it happened."""

    urls: Annotated[tuple[Address, ...] | NotHeld, should("Addresses of the page, profile or post.", NCMEC)] = ()
    group_id: Annotated[Short | NotHeld | None, should("Room, server or group id.", NCMEC)] = None
    channel: Annotated[Short | NotHeld | None, should("Channel or topic.", NCMEC)] = None
    game: Annotated[Short | NotHeld | None, should("Game, and where in it.", NCMEC)] = None
    console: Annotated[Short | NotHeld | None, should("Console or platform of the game.", NCMEC)] = None
    message_ids: Annotated[tuple[Short, ...] | NotHeld, should("Ids of the messages.", NCMEC)] = ()
    app_version: Annotated[Short | NotHeld | None, should("Version of the app.", NCMEC)] = None


class Meeting(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A meeting that was proposed."""

    place: Annotated[Short | NotHeld | None, should("Where they would meet.")] = None
    meets_at: Annotated[Moment | NotHeld | None, should("When they would meet.")] = None
    said: Annotated[Text | NotHeld | None, may("How it was said, where time or place is not clear.")] = None


class Payment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Money or a gift."""

    amount: Annotated[Amount | NotHeld | None, may("Amount, as a decimal in text.")] = None
    currency: Annotated[Currency | NotHeld | None, may("Currency (ISO 4217).")] = None
    method: Annotated[Short | NotHeld | None, may("How it was paid or given.")] = None
    reference: Annotated[Short | NotHeld | None, may("Reference of the payment.")] = None
    paid_at: Annotated[Moment | NotHeld | None, may("When it was paid or given.")] = None


class Incident(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What happened, when, and what that time means."""

    happened_at: Annotated[Moment, must("When it happened.", NCMEC)]
    time_meaning: Annotated[Text, must("What that time is the time of.", NCMEC)]
    medium: Annotated[Medium, must("Through what it happened.", NCMEC)]
    narrative: Annotated[Narrative, must("What happened, in plain words.")]
    began_at: Annotated[Moment | NotHeld | None, may("Start of the time that it went on.")] = None
    ended_at: Annotated[Moment | NotHeld | None, may("End of the time that it went on.")] = None
    is_public: Annotated[YesNoUnknown | NotHeld | None, should("Whether everyone could see it.")] = None
    places: Annotated[tuple[Place, ...] | NotHeld, should("Where on the service.", NCMEC)] = ()
    off_platform_move: Annotated[Short | NotHeld | None, should("Where they wanted to go on talking.")] = None
    meetings: Annotated[tuple[Meeting, ...] | NotHeld, should("Meetings that were proposed.")] = ()
    payments: Annotated[tuple[Payment, ...] | NotHeld, may("Money or gifts.")] = ()
    tags: Annotated[tuple[Tag, ...] | NotHeld, may("What kind of thing it is, besides the category.", NCMEC)] = ()
    harm_signs: Annotated[tuple[HarmSign, ...] | NotHeld, should("Signs that somebody may come to harm soon.")] = ()


class Message(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One message; `sender` and `recipients` are service user ids."""

    sender: Annotated[Short, must("Service user id of who sent it.")]
    type: Annotated[MessageType, must("What kind of message it is.")]
    message_id: Annotated[Short | NotHeld | None, should("Id of the message.")] = None
    sent_at: Annotated[Moment | NotHeld | None, should("When it was sent.")] = None
    recipients: Annotated[tuple[Short, ...] | NotHeld, should("Service user ids of who got it.")] = ()
    text: Annotated[Narrative | NotHeld | None, should("What it says.")] = None
    file_id: Annotated[Short | NotHeld | None, should("File that it carries, one of `files`.")] = None
    ip: Annotated[Short | NotHeld | None, should("IP address that it came from.")] = None
    is_deleted: Annotated[bool | NotHeld | None, should("Whether it was deleted.")] = None


class Conversation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Messages of one thread, in the order in which they were sent."""

    thread_id: Annotated[Short, must("Id of the thread.")]
    messages: Annotated[tuple[Message, ...], must("The messages, the oldest first.")]
    language: Annotated[LanguageTag | NotHeld | None, should("Language (BCP 47).")] = None
    context_before: Annotated[Text | NotHeld | None, should("What came before, in short.")] = None
    context_after: Annotated[Text | NotHeld | None, should("What came after, in short.")] = None
