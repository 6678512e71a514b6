"""Rules of the element's script: whose it is, that it is the released one, and that the page lets it run."""

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Final

from partner_sdk.button.check.addresses import Address, find_address, join_address
from partner_sdk.button.check.buttons import Subject
from partner_sdk.button.check.icon_rules import ReadResource
from partner_sdk.button.check.notices import Notice, Rule, notice
from partner_sdk.button.check.page import Page, find_line, get_attribute, get_base, has_attribute, list_elements
from partner_sdk.button.check.policy_match import Load, is_allowed
from partner_sdk.button.check.release_match import is_released_script
from partner_sdk.button.check.trackers import CONSENT_ATTRIBUTES, CONSENT_CLASSES
from partner_sdk.button.policy import make_policy
from partner_sdk.button.release import SCRIPT_INTEGRITY, SCRIPT_PATH

if TYPE_CHECKING:
    from justhtml import Node

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
        or get_attribute(node, "integrity") == SCRIPT_INTEGRITY
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
    elif is_agencys and address is not None and address.path != SCRIPT_PATH:
        yield notice("unknown-version", subject, at=script)
    elif integrity:
        if integrity != [SCRIPT_INTEGRITY]:
            yield notice("unknown-hash", subject, at=script)
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
    """The page does not tell every host its whole address: the agency would learn where the child was."""
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
