"""The button in a Flask app: `{{ report_abuse_button("example-chat-profile") }}` in any template.

Touches nothing of the app but the globals of its templates, and imports no Flask: any app with a `jinja_env` will do.
"""

from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from partner_sdk.button.snippet import make_snippet, make_style
from partner_sdk.client.exchange import check_origin

NAME: Final = "report_abuse_button"


class Templates(Protocol):
    """What is used of a Jinja environment."""

    @property
    def globals(self) -> MutableMapping[str, Any]:
        """Names that every template knows."""


class App(Protocol):
    """What is used of a Flask app."""

    @property
    def jinja_env(self) -> Templates:
        """Where its templates are made."""


@dataclass(frozen=True, slots=True)
class ButtonHtml:
    """HTML that a template takes as it stands."""

    text: str

    def __html__(self) -> str:
        """Return the HTML: this is how Jinja knows that it needs no escaping."""
        return self.text

    def __str__(self) -> str:
        """Return the HTML."""
        return self.text


class ReportAbuseButton:
    """The extension. What does not change from page to page is checked once, when it is made."""

    def __init__(
        self,
        app: App | None = None,
        *,
        origin: str,
        language: str = "en",
        form: str = "script",
        size: int = 44,
        theme: str | None = None,
    ) -> None:
        """Check the agency's address and the style; raises `FormatError`, so that a mistake stops the start."""
        check_origin(origin)
        self.origin = origin
        self.style = make_style(language=language, form=form, size=size, theme=theme)
        if app is not None:
            self.init_app(app)

    def init_app(self, app: App) -> None:
        """Put the call into an app's templates."""
        app.jinja_env.globals[NAME] = self.render

    def render(self, placement: str, *, context: str | None = None, language: str | None = None) -> ButtonHtml:
        """Return the button of one place; raises `FormatError` for a word that was not agreed.

        `context` is a token of this very page, None or empty without one; `language` is that of this page.
        """
        style = self.style
        return ButtonHtml(
            make_snippet(
                self.origin,
                placement=placement,
                language=language or style.language,
                form=style.form,
                size=style.size,
                theme=style.theme,
                context=context or None,
            )
        )
