"""Rules of the icon and of the element's script: both are the released ones, and the page lets them load.

Whether it does is read off the Content-Security-Policy (CSP Level 3 §6.7.2), for one script or image at a time.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_to_bytes

from partner_sdk.button.check._buttons import Notice, Rule, Subject, is_released_drawing, notice
from partner_sdk.button.check._known_names import CONSENT_ATTRIBUTES, CONSENT_CLASSES
from partner_sdk.button.check.page import (
    Address,
    Page,
    find_address,
    find_line,
    get_attribute,
    get_base,
    has_attribute,
    join_address,
    list_ancestors,
    list_elements,
)
from partner_sdk.button.release import (
    EARLIER_SCRIPTS,
    ICON_INTEGRITY,
    ICON_PATH,
    SCRIPT_INTEGRITY,
    SCRIPT_PATH,
    VERSION,
)
from partner_sdk.button.snippet import SIZES, make_policy

if TYPE_CHECKING:
    from justhtml import Node


_EARLIER: Final = {SCRIPT_PATH.replace(VERSION, version): digest for version, digest in EARLIER_SCRIPTS.items()}
_ICON_PATHS: Final = (ICON_PATH, *(ICON_PATH.replace(VERSION, version) for version in EARLIER_SCRIPTS))


def is_released_script(raw: bytes) -> bool:
    """Return whether these are the bytes of the newest script, or of an earlier release."""
    return _hash(raw) in (SCRIPT_INTEGRITY, *_EARLIER.values())


def is_released_icon(raw: bytes) -> bool:
    """Return whether these are the bytes of the released icon."""
    return _hash(raw) == ICON_INTEGRITY


def _hash(raw: bytes) -> str:
    return f"sha384-{base64.b64encode(hashlib.sha384(raw).digest()).decode('ascii')}"


MAX_POLICY: Final = 32 * 1024
_FALLBACKS: Final = {
    "script-src": ("script-src-elem", "script-src", "default-src"),
    "img-src": ("img-src", "default-src"),
}
_SOURCE: Final = re.compile(
    r"(?:([a-z][a-z0-9+.-]*)://)?(\*|(?:\*\.)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*)(?::(\d+|\*))?(/[^?#]*)?", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Load:
    """A script or image of a page: its address, the page's own, and for a script its nonce and its hashes."""

    address: Address
    page: Address | None
    nonce: str = ""
    integrity: str = ""


def is_allowed(policy: str, *, kind: str, load: Load) -> bool:
    """Return whether a policy lets it load; `kind` is `script-src` or `img-src`. A header may hold several policies."""
    return all(_allows(one, kind=kind, load=load) for one in policy[:MAX_POLICY].split(","))


def list_directives(policy: str) -> dict[str, list[str]]:
    """Return the directives of one policy; the first of a name counts."""
    found: dict[str, list[str]] = {}
    for part in policy.split(";"):
        words = part.split()
        if words:
            found.setdefault(words[0].lower(), words[1:])
    return found


def _allows(policy: str, *, kind: str, load: Load) -> bool:
    directives = list_directives(policy)
    sources = next((directives[name] for name in _FALLBACKS[kind] if name in directives), None)
    if sources is None:
        return True
    if kind == "script-src":
        if load.nonce and f"'nonce-{load.nonce}'" in sources:
            return True
        # A hash lets an external script run whose `integrity` names it: all of its hashes must be there.
        hashes = load.integrity.split()
        if hashes and all(f"'{one}'" in sources for one in hashes):
            return True
        if "'strict-dynamic'" in [one.lower() for one in sources]:
            return False
    return any(_matches(source, load=load) for source in sources)


def _matches(source: str, *, load: Load) -> bool:
    address, page = load.address, load.page
    if source.lower() == "'self'":
        return page is not None and page.origin == address.origin
    if source == "*":
        return address.scheme in ("http", "https")
    if re.fullmatch(r"[a-z][a-z0-9+.-]*:", source, re.IGNORECASE):
        return address.scheme == source[:-1].lower() or (source.lower() == "http:" and address.scheme == "https")
    found = _SOURCE.fullmatch(source)
    return found is not None and _matches_host(found, address=address, page=page)


def _matches_host(found: "re.Match[str]", *, address: Address, page: Address | None) -> bool:
    scheme, host, port, path = found.groups()
    wanted = (scheme or ("https" if page is None else page.scheme)).lower()
    if address.scheme != wanted and not (wanted == "http" and address.scheme == "https"):
        return False
    if host != "*" and not _is_host(host.lower(), host=address.host):
        return False
    if port != "*" and (None if port is None else find_port(int(port), scheme=address.scheme)) != address.port:
        return False
    if not path or path == "/":
        return True
    return address.path.startswith(path) if path.endswith("/") else address.path == path


def find_port(port: int, *, scheme: str) -> int | None:
    """Return a port, None where it is the scheme's own."""
    told = find_address(f"{scheme}://host:{port}") if port <= 65535 else None
    return port if told is None else told.port


def _is_host(pattern: str, *, host: str) -> bool:
    return host.endswith(pattern[1:]) if pattern.startswith("*.") else host == pattern


# Reads a file of the service's own host, or returns None where this method cannot.
ReadResource = Callable[[str], bytes | None]
LEAST_SIZE: Final = min(SIZES)
_ALTERING: Final = frozenset({"style", "srcset", "class", "filter", "transform"})


def see_icon(subject: Subject, *, read_resource: ReadResource) -> Iterator[Notice]:
    """The icon is there and unaltered."""
    icon = next(list_elements(subject.button.link, "svg", "img"), None)
    if icon is None:
        yield notice("no-icon", subject)
        return
    if icon.name == "svg":
        code = "" if is_released_drawing(icon) else "icon-altered"
    elif _is_swapped(icon):
        code = "icon-altered"
    else:
        code = _judge_image(subject, icon, read_resource=read_resource)
    if code:
        yield notice(code, subject, at=icon)
    yield from _see_size(subject, icon)


def _is_swapped(image: "Node") -> bool:
    return bool(_ALTERING & set(image.attrs or {})) or any(one.name == "picture" for one in list_ancestors(image))


def _judge_image(subject: Subject, image: "Node", *, read_resource: ReadResource) -> str:
    source = get_attribute(image, "src")
    if source.strip().lower().startswith("data:"):
        return "" if is_released_icon(_read_data(source)) else "icon-altered"
    absolute = join_address(get_base(subject.button.page), source)
    address, agency = find_address(absolute), find_address(subject.expected.origin)
    own = find_address(subject.button.page.address)
    if address is not None and agency is not None and address.host == agency.host:
        return "" if address.origin == agency.origin and address.path in _ICON_PATHS else "icon-at-other-address"
    if address is None or (own is not None and address.host == own.host):
        read = read_resource(absolute)
        if read is None:
            return "icon-unseen"
        return "" if is_released_icon(read) else "icon-altered"
    return "icon-at-other-host"


def _read_data(source: str) -> bytes:
    head, _, body = source.strip().partition(",")
    raw = unquote_to_bytes(body)
    if not head.lower().endswith(";base64"):
        return raw
    try:
        return base64.b64decode(raw)
    except (binascii.Error, ValueError):
        return b""


def _see_size(subject: Subject, icon: "Node") -> Iterator[Notice]:
    width, height = (_read_size(icon, name) for name in ("width", "height"))
    if width is None or height is None:
        yield notice("size-unknown", subject, at=icon, names=("width", "height"))
    elif width < LEAST_SIZE or height < LEAST_SIZE:
        yield notice("too-small", subject, at=icon)
    elif width != height:
        yield notice("icon-stretched", subject, at=icon)
    elif width not in SIZES:
        yield notice("other-size", subject, at=icon)


def _read_size(icon: "Node", name: str) -> float | None:
    # HTML's rules for dimension values: digits, perhaps a fraction, whatever follows but %.
    if not has_attribute(icon, name):
        return None
    found = re.match(r"\s*\+?(\d{1,6}(?:\.\d{1,6})?)(?:px)?\s*$", get_attribute(icon, name), re.ASCII)
    return None if found is None else float(found[1])


MAX_SCRIPTS: Final = 20
_FILE_NAME: Final = SCRIPT_PATH.rsplit("/", 1)[-1]
# HTML's JavaScript types, and `module`. Nothing else runs, which is how consent managers hold scripts back.
_RUNS: Final = ("", "module", "text/javascript", "application/javascript", "text/ecmascript", "application/ecmascript")
_LAZY_SOURCES: Final = ("data-src", "data-cookieconsent-src", "data-cmplz-src", "data-suppressedsrc", "data-lazy-src")


def list_scripts(page: Page) -> list["Node"]:
    """Return the script tags of the page that are for the button's script, held back or not."""
    found = (
        node
        for node in list_elements(page.root, "script")
        if any(_FILE_NAME in get_attribute(node, name) for name in ("src", *_LAZY_SOURCES))
        or get_attribute(node, "integrity") in (SCRIPT_INTEGRITY, *_EARLIER.values())
    )
    return list(islice(found, MAX_SCRIPTS))


def is_held_back(script: "Node") -> bool:
    """Return whether a consent manager keeps a script from running."""
    held = script.attrs is not None and any(name.startswith(CONSENT_ATTRIBUTES) for name in script.attrs)
    is_classed = any(one in get_attribute(script, "class").lower() for one in CONSENT_CLASSES)
    is_plain = get_attribute(script, "type").strip().lower().partition(";")[0] not in _RUNS
    return held or is_classed or is_plain or not has_attribute(script, "src")


def see_script_absent(subject: Subject) -> Iterator[Notice]:
    """An element has its script on the page, and one only."""
    scripts = list_scripts(subject.button.page)
    if subject.button.element is not None and not scripts:
        yield notice("script-not-found", subject, at=subject.button.element)
    sources = {get_attribute(one, "src") for one in scripts}
    if len(sources) > 1:
        yield notice("two-scripts", subject, at=scripts[1])


def see_scripts(subject: Subject, *, read_resource: ReadResource) -> Iterator[Notice]:
    """Each script is the released one, guarded by its hash, and may run."""
    for script in list_scripts(subject.button.page):
        if is_held_back(script):
            yield notice("script-waits-for-consent", subject, at=script)
        else:
            yield from _see_script(subject, script, read_resource=read_resource)


def _see_script(subject: Subject, script: "Node", *, read_resource: ReadResource) -> Iterator[Notice]:
    page = subject.button.page
    absolute = join_address(get_base(page), get_attribute(script, "src"))
    address, agency, own = (find_address(one) for one in (absolute, subject.expected.origin, page.address))
    is_agencys = address is not None and agency is not None and address.origin == agency.origin
    is_own = address is None or (own is not None and address.origin == own.origin)
    integrity = get_attribute(script, "integrity").split()
    if not is_agencys and not is_own:
        yield notice("script-at-other-host", subject, at=script)
    elif is_agencys and address is not None and address.path not in (SCRIPT_PATH, *_EARLIER):
        yield notice("unknown-version", subject, at=script)
    elif integrity:
        if is_agencys and address is not None:
            released = [_EARLIER.get(address.path, SCRIPT_INTEGRITY)]
        else:
            released = [SCRIPT_INTEGRITY, *_EARLIER.values()]
        if len(integrity) != 1 or integrity[0] not in released:
            yield notice("unknown-hash", subject, at=script)
        elif integrity[0] != SCRIPT_INTEGRITY:
            yield notice("earlier-version", subject, at=script)
    elif is_agencys:
        yield notice("no-hash", subject, at=script)
    else:
        yield from _see_own_copy(subject, script, read=read_resource(absolute))
    # Present without a value it is "anonymous" too; absent is another thing.
    is_anonymous = get_attribute(script, "crossorigin").strip().lower() in ("", "anonymous")
    if integrity and not is_own and not (has_attribute(script, "crossorigin") and is_anonymous):
        yield notice("no-crossorigin", subject, at=script, names=("crossorigin",))
    if not _waits(script):
        yield notice("not-deferred", subject, at=script, names=("defer",))
    yield from _see_policy(subject, script, address=address)


def _see_own_copy(subject: Subject, script: "Node", *, read: bytes | None) -> Iterator[Notice]:
    if read is None:
        yield notice("script-unseen", subject, at=script)
    elif not is_released_script(read):
        yield notice("unknown-hash", subject, at=script)
    elif _hash(read) != SCRIPT_INTEGRITY:
        yield notice("earlier-version", subject, at=script)


def _waits(script: "Node") -> bool:
    return any(has_attribute(script, one) for one in ("defer", "async")) or get_attribute(script, "type") == "module"


def _see_policy(subject: Subject, script: "Node", *, address: Address | None) -> Iterator[Notice]:
    page = subject.button.page
    if address is None:
        return
    load = Load(
        address=address,
        page=find_address(page.address),
        nonce=get_attribute(script, "nonce"),
        integrity=get_attribute(script, "integrity"),
    )
    if not all(is_allowed(one, kind="script-src", load=load) for one in list_policies(page)):
        add = make_policy(subject.expected.origin, form="script", by="host").line
        yield Notice("policy-blocks-script", line=find_line(page, script), add=add)


def see_icon_policy(subject: Subject) -> Iterator[Notice]:
    """The page's policy lets the icon load."""
    page = subject.button.page
    for image in list_elements(subject.button.link, "img"):
        address = find_address(join_address(get_base(page), get_attribute(image, "src")))
        if address is None:
            continue
        load = Load(address=address, page=find_address(page.address))
        if not all(is_allowed(one, kind="img-src", load=load) for one in list_policies(page)):
            add = make_policy(subject.expected.origin, form="link", by="host").line
            yield Notice("policy-blocks-icon", line=find_line(page, image), add=add)


def see_referrer_policy(subject: Subject) -> Iterator[Notice]:
    """The page does not send every host its whole address: the agency would learn where the child was."""
    page = subject.button.page
    loads = [*list_scripts(page), *list_elements(subject.button.link, "img")]
    agency = find_address(subject.expected.origin)
    addresses = [find_address(join_address(get_base(page), get_attribute(one, "src"))) for one in loads]
    if not any(one is not None and agency is not None and one.host == agency.host for one in addresses):
        return
    for meta in list_elements(page.root, "meta"):
        told = get_attribute(meta, "content").strip().lower().split(",")[-1].strip()
        if get_attribute(meta, "name").strip().lower() == "referrer" and told in ("unsafe-url", "always"):
            yield notice("tells-its-address", subject, at=meta)
            return


def list_policies(page: Page) -> list[str]:
    """Return the policies of the header and of the page's own meta tags."""
    said = [
        get_attribute(node, "content")
        for node in list_elements(page.root, "meta")
        if get_attribute(node, "http-equiv").strip().lower() == "content-security-policy"
    ]
    return [*page.policies, *said]


SCRIPT_RULES: Final[tuple[Rule, ...]] = (see_script_absent, see_icon_policy, see_referrer_policy)
