"""Commands for the services that reports are about: list, merge, part."""

import click

from gateway.desk.cases.linking import merge_services, part_service
from gateway.desk.people.permissions import Permission
from gateway.desk.placements.merges import read_merges
from gateway.desk.placements.register import get_owner_names, has_keys
from gateway.desk.terminal import Call, desk_command, print_result
from gateway.desk.wiring import open_desk

_SERVICE = click.argument("service", metavar="SERVICE", help="Its id, e.g. other-chat.")
_REASON = click.option("--reason", required=True, metavar="TEXT", help="Why, without details of a report.")


@desk_command(Permission.SEE_DIGESTS, example="--json")
def service_list(call: Call) -> int:
    """List the services of the register, and those that count as another."""
    with open_desk(call.state).store.read() as connection:
        merges = read_merges(connection)
        services = [
            {"service": service, "name": name, "has_keys": has_keys(connection, service), "into": merges.get(service)}
            for service, name in get_owner_names(connection).items()
        ]
    lines = (
        f"{one['service']:32} {one['name']}{'' if one['has_keys'] else '  without keys'}"
        f"{'' if one['into'] is None else '  counts as ' + str(one['into'])}"
        for one in services
    )
    return print_result(call, {"services": services}, *lines, empty="The register has no service yet.")


@desk_command(
    Permission.MANAGE_PARTNERS, example='otherchat other-chat --reason "The same service, entered by its web address"'
)
@_SERVICE
@click.argument("into", metavar="INTO", help="The id that stays.")
@_REASON
def service_merge(call: Call, service: str, into: str, reason: str) -> int:
    """Record that a service was entered twice and counts as another from the next digest on.

    Digests that exist stay as they are. Make those of ended quarters first, or their incidents of SERVICE are in none.
    """
    stays = merge_services(open_desk(call.state), service, into, reason=reason, actor=call.actor)
    return print_result(
        call,
        {"service": service, "into": stays},
        f"{service} counts as {stays} in every digest from now on. Those that exist stay as they are.",
    )


@desk_command(Permission.MANAGE_PARTNERS, example='otherchat --reason "Another company after all"')
@_SERVICE
@_REASON
def service_part(call: Call, service: str, reason: str) -> int:
    """Record that a merged service counts as itself again.

    Incidents that a digest has counted are counted nowhere again.
    """
    part_service(open_desk(call.state), service, reason=reason, actor=call.actor)
    return print_result(call, {"service": service, "into": None}, f"{service} counts as itself again.")
