"""All that leaves about a case: packages, referrals, requests and warnings; and calls that are typed in.

To add a kind of action, in this order; after each arrow the check that fails without it:

1. `cases/actions/model.py`: its code in `ActionKind` and its row in `KINDS`. -> mypy: the `match` of step 5
2. `office/people/permissions.py`: who may make it, if no permission fits. `office/people/releases.py`: the signature of
   a second person, if it needs one. -> `tests/desk/office/people/test_permissions.py`
3. If it goes to a mailbox, `partner_sdk/wire/mailbox.py`: the kind of message and its body, with WIRE.md, a maker in
   `tests/contract/vector_makers/mailbox.py` and `make vectors NAMES=mailbox`.
   -> `tests/sdk/wire/test_action_bodies.py`
   For who receives it, `partner_sdk/client/threads.py` (`ThreadKind`, `ThreadBody`), the choices of
   `partner_sdk/_commands/mailbox.py`, and words in `partner_sdk/console/agency.py`. -> mypy
4. A module here: its rules, its draft (`draft_action`, and `draft_signature` with a second person), its form, and
   `make_..._part` with a template `action_....html` for the page of the action; its blueprint in `running/app.py`.
   -> `tests/house/test_snapshots.py`; the new routes go into it by `python -m tests.house.snapshots`
5. `running/action_pages.py`: its part in `_make_part`, its letter in `post_letter` if it has one, and in `_begin` what
   is checked once more before it goes; what may stop it later, in `cases/actions/sending.py`.
6. A link to the form: `case_about.html`, for an action about a case.
7. `gateway/testing/agency.py`: an example for the tests of services, if it goes to them.
   -> `tests/gateway/testing/test_sandbox.py`
"""
