"""What commands do after a change of a partner's keys: sign the register and give it to the gateway at once."""

import argparse

from gateway.desk.commands.frame import DONE, TRY_AGAIN, complain, get_actor, print_json, say
from gateway.desk.keyring.publication import publish
from gateway.desk.wiring import open_desk
from partner_sdk.errors import TransportError, UnavailableError


def publish_register(parsed: argparse.Namespace, *, partner: str, done: str) -> int:
    """Sign the register, with the change of this partner, and give it to the gateway.

    `done` says what stands already if that fails.
    """
    try:
        published = publish(open_desk(parsed.state), actor=get_actor(parsed))
    except (TransportError, UnavailableError) as error:
        return publish_later(error, done=done)
    if parsed.json:
        print_json({"partner": partner, "register_serial": published.register.serial})
    else:
        say(f"The gateway has register serial {published.register.serial}.")
    return DONE


def publish_later(error: Exception, *, done: str) -> int:
    """Say that the deed stands and the gateway does not know of it yet."""
    # Running the same command again would be refused: it is done here, and only the gateway does not know.
    return complain(f"{error} {done}; the gateway hears of it with the next `publish`.", code=TRY_AGAIN)
