"""Where the objects of a draft lie: the way from a page to its object, and the items of its lists."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Final

import msgspec

from partner_sdk.console.draft_files import FILES, make_file_id
from partner_sdk.console.report_drafts import Owner, Section, get_root

CASE: Final = "case"


@dataclass(frozen=True, slots=True)
class Place:
    """Where an object of the draft lies: `path` is that of its page, e.g. `suspects/0/logins/1`."""

    section: Section
    path: str
    above: str | None

    @property
    def seen(self) -> str:
        """A digest of the object, to notice that another window changed it."""
        return sha256(msgspec.json.encode(self.section.owner)).hexdigest()


def find_place(root: Owner, path: str) -> Place | None:
    """Return the object that a page of the draft shows, or None. A part that is always there is made."""
    section, above = get_root(root), None
    if path == CASE:
        return Place(section, path, None)
    steps = path.split("/")
    for count, step in enumerate(steps):
        if step.isascii() and step.isdigit():
            continue
        found = next((one for one in section.part.fields if one.name == step and one.part is not None), None)
        if found is None:
            return None
        if found.is_list:
            number = steps[count + 1] if count + 1 < len(steps) else ""
            items = section.list_items(found)
            if not (number.isascii() and number.isdigit() and len(number) < 6 and int(number) < len(items)):
                return None
            above = "/".join(steps[:count]) or None
            section = items[int(number)]
        else:
            if not isinstance(section.owner.get(step), dict):
                section.owner[step] = {}
            section = section.get_part(found)
    return Place(section, path, above)


def add_item(place: Place, name: str) -> str | None:
    """Add an object to a list of this one and return the path of its page, or None if there is no such list."""
    found = next((one for one in place.section.part.fields if one.name == name and one.part and one.is_list), None)
    if found is None:
        return None
    owner = place.section.owner
    if not isinstance(owner.get(name), list):
        owner[name] = []
    # A file needs an id that the other pages can name; people need not invent it.
    owner[name].append({"file_id": make_file_id(owner)} if place.path == CASE and name == FILES else {})
    return join_path(place.path, f"{name}/{len(owner[name]) - 1}")


def remove_item(root: Owner, path: str) -> bool:
    """Remove the item of a list that a page shows; return whether it was one."""
    above, _, number = path.rpartition("/")
    if not number.isdigit() or find_place(root, path) is None:
        return False
    holder, _, name = above.rpartition("/")
    place = find_place(root, holder or CASE)
    if place is None:
        return False
    del place.section.owner[name][int(number)]
    if not place.section.owner[name]:
        del place.section.owner[name]
    return True


def join_path(path: str, rest: str) -> str:
    """Return the path of a page below another one."""
    return rest if path == CASE else f"{path}/{rest}"
