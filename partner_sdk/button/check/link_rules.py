"""Rules of the link: it works without script and leads straight to the agency, with the placement and no more."""

from collections.abc import Iterator
from typing import Final

from partner_sdk.button.check.addresses import Address, decode_all, find_address, is_alike
from partner_sdk.button.check.buttons import Subject
from partner_sdk.button.check.notices import Notice, Rule, notice
from partner_sdk.button.check.page import get_attribute, list_elements
from partner_sdk.button.page_links import TOKEN_CHARACTERS
from partner_sdk.button.release import ELEMENT
from partner_sdk.wire.page_context import FRAGMENT_NAME, MAX_TOKEN_CHARACTERS
from partner_sdk.wire.placement import is_placement


def see_link(subject: Subject) -> Iterator[Notice]:
    """It is a real link."""
    button = subject.button
    if not button.is_link:
        is_empty = button.link.name == ELEMENT and not any(True for _ in list_elements(button.link, "a"))
        yield notice("element-empty" if is_empty else "needs-script", subject)


def see_address(subject: Subject) -> Iterator[Notice]:
    """It leads to the agency's own host, over https, and to the start page."""
    if not subject.button.is_link:
        return
    code = _judge_address(
        subject.button.address,
        agency=find_address(subject.expected.origin),
        href=get_attribute(subject.button.link, "href"),
    )
    if code:
        yield notice(code, subject)


def _judge_address(address: Address | None, *, agency: Address | None, href: str) -> str:
    if agency is None or address is None:
        return "other-host"
    if address.host != agency.host:
        if agency.host in decode_all(f"{address.path}?{address.query}#{address.fragment}"):
            return "through-redirector"
        # `https://report.example@evil.example/` shows one host and goes to another.
        return "look-alike-host" if address.has_userinfo or is_alike(address.host, to=agency.host) else "other-host"
    if address.has_userinfo:
        return "userinfo"
    if address.scheme != agency.scheme:
        return "insecure-address"
    if address.port != agency.port:
        return "other-host"
    return "" if address.path == "/" else "wrong-path"


def see_query(subject: Subject) -> Iterator[Notice]:
    """Its query is `from` and nothing else; its fragment is a sealed context or nothing."""
    address = subject.button.address
    if not subject.button.is_link or not _leads_to_agency(address, subject.expected.origin):
        return
    pairs = list_pairs(address)
    if any(name != "from" for name, _ in pairs) or len(pairs) > 1:
        yield notice("extra-parameters", subject)
    if address is not None and address.fragment:
        name, mark, token = address.fragment.partition("=")
        is_token = TOKEN_CHARACTERS.fullmatch(token) is not None and len(token) <= MAX_TOKEN_CHARACTERS
        if name != FRAGMENT_NAME or not mark or not is_token:
            yield notice("odd-fragment", subject)


def see_placement(subject: Subject) -> Iterator[Notice]:
    """It names the placement that was agreed for this page."""
    if not subject.button.is_link or not _leads_to_agency(subject.button.address, subject.expected.origin):
        return
    given = find_given_placement(subject.button.address)
    expected = subject.expected
    if given is None:
        yield notice("no-placement", subject)
    elif not is_placement(given):
        yield notice("placement-misspelled", subject)
    elif expected.placement is not None and given != expected.placement:
        said = f"The link says {given}; agreed is {expected.placement}."
        yield Notice("other-placement", line=notice("other-placement", subject).line, add=said)
    elif expected.known is not None and given not in expected.known:
        yield notice("unknown-placement", subject)
    elif expected.placement is None and expected.known is None:
        yield Notice("placement-not-compared")


def see_relation(subject: Subject) -> Iterator[Notice]:
    """It tells the agency nothing of the page, and gives the new page no hold on this one."""
    if not subject.button.is_link:
        return
    words = get_attribute(subject.button.link, "rel").lower().split()
    if "noreferrer" not in words:
        yield notice("no-noreferrer", subject)
    if "noopener" not in words:
        yield notice("no-noopener", subject)


def see_same_placement(subject: Subject) -> Iterator[Notice]:
    """Two buttons of a page have placements of their own: said once, at the second one."""
    given = find_given_placement(subject.button.address)
    earlier = []
    for one in subject.all_buttons:
        if one is subject.button:
            break
        earlier.append(find_given_placement(one.address))
    if given is not None and earlier.count(given) == 1:
        yield notice("same-placement-twice", subject)


def list_pairs(address: Address | None) -> list[tuple[str, str]]:
    """Return the parameters of a query as they are written, without taking off any %-sign."""
    if address is None or not address.query:
        return []
    parts = [part.partition("=") for part in address.query.split("&")]
    return [(name, value) for name, _, value in parts]


def find_given_placement(address: Address | None) -> str | None:
    """Return what stands behind `from=`, however it is spelled, or None."""
    return next((value for name, value in list_pairs(address) if name == "from"), None)


def _leads_to_agency(address: Address | None, origin: str) -> bool:
    agency = find_address(origin)
    return address is not None and agency is not None and address.host == agency.host


LINK_RULES: Final[tuple[Rule, ...]] = (
    see_link,
    see_address,
    see_query,
    see_placement,
    see_relation,
    see_same_placement,
)
