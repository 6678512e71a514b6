"""The five places of the button at the example service: what it agreed with the agency, and what its pages show."""

from dataclasses import dataclass
from typing import Final

from partner_sdk.button.page_contexts import PageFacts
from partner_sdk.wire.page_context import ContextAccount, ContextMessage, Surface

SERVICE_NAME: Final = "Example Chat"


@dataclass(frozen=True, slots=True)
class Place:
    """One page: its path, its name in the menu, and the placement that was agreed for it."""

    path: str
    title: str
    placement: str
    surface: Surface
    position: str


PLACES: Final = (
    Place("/chat", "Chat room", "example-chat-chat", "chat", "Above the conversation, beside our own report"),
    Place("/profile", "Profile", "example-chat-profile", "profile", "Under the name, beside Block"),
    Place("/messages", "Messages", "example-chat-dm", "direct_message", "Above the conversation, beside Block"),
    Place("/lobby", "Game lobby", "example-chat-lobby", "game_lobby", "Above the list of players"),
    Place("/help", "Help", "example-chat-help", "help", "First on the page"),
)
CHAT: Final = PLACES[0]
MESSAGES: Final = PLACES[2]

# Ids as a service has them. The words of the conversation stay where they are: they are never sealed.
MESSAGES_FACTS: Final = PageFacts(
    placement=MESSAGES.placement,
    surface=MESSAGES.surface,
    viewer=ContextAccount(account_id="account-1001", display_name="Sam"),
    about=(ContextAccount(account_id="account-2002", display_name="Robin42"),),
    conversation_id="conversation-77",
    messages=(
        ContextMessage(message_id="message-5", sent_at="2026-11-25T16:02:00Z"),
        ContextMessage(message_id="message-6", sent_at="2026-11-25T16:04:00Z"),
    ),
)
