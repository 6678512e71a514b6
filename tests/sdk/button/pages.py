"""Pages with a button on them, made from one good page by one change each: every change is one seeded fault."""

from dataclasses import dataclass
from typing import Final

from partner_sdk.button.snippet import (
    EARLIER_SCRIPTS,
    ICON_PATH,
    SCRIPT_INTEGRITY,
    SCRIPT_PATH,
    VERSION,
    WORDS,
    make_snippet,
)

ORIGIN: Final = "https://report.agency.example"
PLACEMENT: Final = "example-chat-profile"
ADDRESS: Final = "https://chat.example/profile"
WITH_SCRIPT: Final = make_snippet(ORIGIN, placement=PLACEMENT, form="script")
PLAIN: Final = make_snippet(ORIGIN, placement=PLACEMENT, form="link")
LINK: Final = f"{ORIGIN}/?from={PLACEMENT}"
SENTENCE: Final = WORDS["en"].sentence
LABEL: Final = WORDS["en"].label


def make_page(snippet: str, *, head: str = "", lang: str = "en", before: str = "", after: str = "") -> str:
    """Return a profile page of a chat service with a snippet in it."""
    return f"""<!doctype html>
<html lang="{lang}">
<head>
<meta charset="utf-8">
<title>Profile</title>
{head}
</head>
<body>
<header><nav><a href="/">Home</a> <a href="/rooms">Rooms</a></nav></header>
<main>
<h1>Sam</h1>
<p>Likes football and baking.</p>
<section>
{before}
{snippet}
{after}
</section>
<p><a href="/report">Tell us about this profile</a></p>
</main>
</body>
</html>
"""


@dataclass(frozen=True, slots=True)
class Seed:
    """One fault: its code, the replaced text of the good page's snippet, and additions to the page."""

    code: str
    old: str
    new: str
    form: str = "script"
    head: str = ""
    before: str = ""
    after: str = ""
    policy: str = ""

    def make(self) -> str:
        """Return the page with this one fault."""
        good = WITH_SCRIPT if self.form == "script" else PLAIN
        assert self.old in good, "the change changes nothing"
        return make_page(good.replace(self.old, self.new), head=self.head, before=self.before, after=self.after)


A_LABEL = f' aria-label="{LABEL}"'
REL = 'rel="noreferrer noopener"'
SVG_SIZE = '<svg width="44" height="44"'
IMG_SIZE = 'width="44" height="44"'
SCRIPT_END = " defer></script>"
OWN_SCRIPT = f'<script defer src="/report-abuse-button.js" integrity="{SCRIPT_INTEGRITY}"></script>'
POLICY = "default-src 'self'; script-src 'self'"

# The link: works without script, exact host and path, placement, relation.
LINK_SEEDS = (
    Seed("needs-script", f'href="{LINK}"', f"onclick=\"location='{LINK}'\""),
    Seed("needs-script", f'href="{LINK}"', 'href="#"'),
    Seed("needs-script", f'href="{LINK}"', f"href=\"javascript:open('{LINK}')\""),
    Seed("element-empty", "<report-abuse-button>", '<a href="/help"><report-abuse-button></report-abuse-button></a>'),
    Seed("insecure-address", f'href="{LINK}"', f'href="http://report.agency.example/?from={PLACEMENT}"'),
    Seed("other-host", f'href="{LINK}"', f'href="https://chat.example/?from={PLACEMENT}"'),
    Seed("other-host", f'href="{LINK}"', f'href="/?from={PLACEMENT}"'),
    Seed("other-host", f'href="{LINK}"', f'href="https://report.agency.example:8443/?from={PLACEMENT}"'),
    Seed("look-alike-host", f'href="{LINK}"', f'href="https://rep0rt.agency.example/?from={PLACEMENT}"'),
    Seed("look-alike-host", f'href="{LINK}"', f'href="https://report.agency.example.evil.test/?from={PLACEMENT}"'),
    Seed("look-alike-host", f'href="{LINK}"', f'href="{ORIGIN}@evil.test/?from={PLACEMENT}"'),
    Seed("userinfo", f'href="{LINK}"', f'href="https://child@report.agency.example/?from={PLACEMENT}"'),
    Seed(
        "through-redirector", f'href="{LINK}"', 'href="https://go.example/?to=https%3A%2F%2Freport.agency.example%2F"'
    ),
    Seed("wrong-path", f"{ORIGIN}/?from", f"{ORIGIN}/2?from"),
    Seed("extra-parameters", f"?from={PLACEMENT}", f"?from={PLACEMENT}&amp;utm_source=chat"),
    Seed("odd-fragment", f"?from={PLACEMENT}", f"?from={PLACEMENT}#user=17"),
    Seed("no-placement", f"/?from={PLACEMENT}", "/"),
    Seed("placement-misspelled", f"?from={PLACEMENT}", "?from=Example%20Chat"),
    Seed("test-placement", f"?from={PLACEMENT}", "?from=test"),
    Seed("other-placement", f"?from={PLACEMENT}", "?from=example-chat-room"),
    Seed("no-noreferrer", REL, 'rel="noopener"'),
    Seed("no-noopener", REL, 'rel="noreferrer"'),
)
# What a press does.
PRESS_SEEDS = (
    Seed("handler", REL, f'{REL} onclick="count()"'),
    Seed("handler", "<report-abuse-button>", '<report-abuse-button onpointerdown="count()">'),
    Seed("counted", REL, f'{REL} data-track="report"'),
    Seed("counted", REL, f'{REL} data-gtm-click="report"', form="link"),
    Seed("ping", REL, f'{REL} ping="https://count.example/"'),
    Seed("download", REL, f"{REL} download"),
    Seed("into-frame", REL, f'{REL} target="help"'),
    Seed("new-tab", REL, f'{REL} target="_blank"'),
    Seed("new-tab", REL, REL, head='<base target="_blank">'),
    Seed("altered", REL, f'{REL} class="btn btn-danger"'),
    Seed("altered", "<report-abuse-button>", '<report-abuse-button text="Get help">'),
    Seed(
        "tracker-beside",
        SCRIPT_END,
        f'{SCRIPT_END}<script async src="https://www.googletagmanager.com/gtag/js"></script>',
    ),
)
# What is said.
WORDS_SEEDS = (
    Seed("words-changed", " Report Abuse</a>", " Get help</a>"),
    Seed("words-changed", " Report Abuse</a>", "</a>", form="link"),
    Seed("name-says-not-where", A_LABEL, ""),
    Seed("name-changed", A_LABEL, ' aria-label="Contact moderators"'),
    Seed("name-overridden", REL, f'{REL} aria-labelledby="x"'),
    Seed("other-title", REL, f'{REL} title="Contact our team"'),
    Seed("other-role", REL, f'{REL} role="presentation"'),
    Seed("wrong-language", "<report-abuse-button>", '<report-abuse-button lang="cy">'),
    Seed("language-not-said", "<report-abuse-button>", '<report-abuse-button lang="fr">'),
    Seed("no-sentence", f"<p>{SENTENCE}</p>", ""),
    Seed("no-purpose", "Has someone online scared you, or done something sexual?", "Need help?"),
    Seed("sentence-changed", "Tell the police team who keep children safe. They find", "Tell us. We find"),
    Seed("sentence-in-other-language", SENTENCE, WORDS["cy"].sentence),
    Seed("no-999", " In danger now? Call 999.", ""),
    Seed("no-police", " Tell the police team who keep children safe.", ""),
    Seed("no-deterrent", " They find people who do this.", ""),
    Seed("icon-has-words", 'alt=""', 'alt="Contact us"', form="link"),
)
# The icon and the script.
FILE_SEEDS = (
    Seed("no-icon", f'<img src="{ORIGIN}{ICON_PATH}" alt="" {IMG_SIZE} referrerpolicy="no-referrer">', "", form="link"),
    Seed("icon-altered", 'fill="#154650"', 'fill="#ff0000"'),
    Seed("icon-altered", SVG_SIZE, f'{SVG_SIZE} style="filter:grayscale(1)"'),
    Seed("icon-altered", f'src="{ORIGIN}{ICON_PATH}"', 'src="data:image/svg+xml,%3Csvg/%3E"', form="link"),
    Seed("icon-at-other-address", ICON_PATH, "/button/0.0.1/button.svg", form="link"),
    Seed("icon-at-other-host", f'src="{ORIGIN}{ICON_PATH}"', 'src="https://i0.images.example/button.svg"', form="link"),
    Seed("icon-unseen", f'src="{ORIGIN}{ICON_PATH}"', 'src="/static/button.svg"', form="link"),
    Seed("size-unknown", SVG_SIZE, "<svg"),
    Seed("too-small", SVG_SIZE, '<svg width="28" height="11"'),
    Seed("too-small", IMG_SIZE, 'width="32" height="32"', form="link"),
    Seed("icon-stretched", SVG_SIZE, '<svg width="64" height="44"'),
    Seed("other-size", IMG_SIZE, 'width="50" height="50"', form="link"),
    Seed("script-at-other-host", f'src="{ORIGIN}{SCRIPT_PATH}"', f'src="https://cdn.example{SCRIPT_PATH}"'),
    Seed("unknown-version", SCRIPT_PATH, "/button/0.0.1/report-abuse-button.js"),
    Seed("unknown-hash", 'integrity="sha384-', 'integrity="sha384-AAAA'),
    # The hash of a released file, at the address of another one: a browser refuses the script.
    Seed("unknown-hash", SCRIPT_INTEGRITY, EARLIER_SCRIPTS["1.0.0"]),
    Seed("unknown-hash", SCRIPT_PATH, SCRIPT_PATH.replace(VERSION, "1.0.0")),
    Seed("no-hash", f' integrity="{SCRIPT_INTEGRITY}"', ""),
    Seed("no-crossorigin", ' crossorigin="anonymous"', ""),
    Seed("no-crossorigin", ' crossorigin="anonymous"', ' crossorigin="use-credentials"'),
    Seed("not-deferred", SCRIPT_END, "></script>"),
    Seed("script-waits-for-consent", SCRIPT_END, ' defer type="text/plain"></script>'),
    Seed("script-not-found", "<script", "<template><script"),
    Seed("two-scripts", "</report-abuse-button>", f"</report-abuse-button>{OWN_SCRIPT}"),
    Seed("policy-blocks-script", REL, REL, head=f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'),
    Seed("policy-blocks-script", REL, REL, policy=POLICY),
    Seed("policy-blocks-icon", REL, REL, form="link", policy="img-src 'self'"),
    Seed("tells-its-address", REL, REL, head='<meta name="referrer" content="unsafe-url">'),
)
# Who reaches it.
PLACE_SEEDS = (
    Seed("unreachable", REL, REL, before="<div inert>", after="</div>"),
    Seed("unreachable", REL, REL, before='<div aria-hidden="true">', after="</div>"),
    Seed("waits-for-consent", REL, REL, before='<div data-cookieconsent="marketing">', after="</div>"),
)
SEEDS = (*LINK_SEEDS, *PRESS_SEEDS, *WORDS_SEEDS, *FILE_SEEDS, *PLACE_SEEDS)
