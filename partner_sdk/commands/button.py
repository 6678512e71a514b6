"""The group `button`: what a service puts on its pages, and whether it stands there as agreed."""

from pathlib import Path

from partner_sdk.button.flavour_files import FILE_NAMES, FLAVOURS, make_flavour
from partner_sdk.button.policy import WAYS, make_policy
from partner_sdk.button.snippet import FORMS, LANGUAGES, SIZES, THEMES, make_style
from partner_sdk.commands import button_adopt, button_check, button_context, button_well_known
from partner_sdk.commands.button_files import get_origin, write_out
from partner_sdk.commands.frame import Call, CommandGroup
from partner_sdk.commands.output import EXIT_DONE, Speaker


def run_snippet(call: Call) -> int:
    """Write the button for one place, in the words of the service's own framework."""
    args = call.args
    style = make_style(language=args.language, form=args.form, size=args.size, theme=args.theme)
    origin = get_origin(args.origin, state=Path(args.state))
    text = make_flavour(args.flavour, origin=origin, placement=args.placement, style=style)
    if args.out is not None:
        write_out(args.out, text)
    if args.json:
        file = None if args.out is None else str(args.out)
        call.speaker.say_json({"file": file, "flavour": args.flavour, "origin": origin, "text": text})
    elif args.out is None:
        # No mark in front: this becomes a part of a page, and nothing of it is a report.
        Speaker(None).say(text.rstrip("\n"))
    else:
        name = FILE_NAMES[args.flavour]
        call.speaker.say(f"Wrote {args.out}." + ("" if args.out == Path(name) else f" In your tree it is {name}."))
    return EXIT_DONE


def run_csp(call: Call) -> int:
    """Say what a strict Content-Security-Policy needs for the button, and what it does not."""
    args = call.args
    origin = get_origin(args.origin, state=Path(args.state))
    policy = make_policy(origin, form=args.form, by=args.by)
    if args.json:
        fields = {"directive": policy.directive, "line": policy.line, "never": list(policy.never)}
        call.speaker.say_json({**fields, "source": policy.source, "why": policy.why})
        return EXIT_DONE
    Speaker(None).say(policy.line)
    call.speaker.warn(f"Add this to your policy: it {policy.why}.")
    for never in policy.never:
        call.speaker.warn(f"Not needed: {never}.")
    return EXIT_DONE


def add_commands(top: CommandGroup) -> None:
    """Add this file's commands, and those of the other files of the group."""
    button = top.add_group("button")
    snippet = button.add_alone(
        "snippet",
        run=run_snippet,
        summary="write the button for one agreed place",
        example="--placement example-chat-profile --for react --out ReportAbuseButton.js",
    )
    snippet.add_argument(
        "--placement", metavar="ID", required=True, help="the link id that the agency agreed for this place"
    )
    snippet.add_argument(
        "--for", dest="flavour", choices=FLAVOURS, default="html", help="what your pages are made with"
    )
    snippet.add_argument(
        "--form", choices=FORMS, default="script", help="with our script, or a plain link and an image"
    )
    snippet.add_argument("--language", choices=LANGUAGES, default="en", help="the language of the page")
    snippet.add_argument("--size", choices=SIZES, type=int, default=44, help="of the icon, in pixels")
    snippet.add_argument("--theme", choices=THEMES, help="without it, the reader's own setting counts")
    snippet.add_argument("--origin", metavar="ADDRESS", help="the agency's (default: that of your folder)")
    snippet.add_argument("--out", metavar="FILE", type=Path, help="write there, and not to standard output")
    csp = button.add_alone(
        "csp", run=run_csp, summary="say what your Content-Security-Policy needs", example="--by hash"
    )
    csp.add_argument("--by", choices=WAYS, default="host", help="allow the agency's folder, or exactly this script")
    csp.add_argument("--form", choices=FORMS, default="script", help="as you chose it for the snippet")
    csp.add_argument("--origin", metavar="ADDRESS", help="the agency's (default: that of your folder)")
    for file in (button_well_known, button_check, button_context, button_adopt):
        file.add_commands(button)
