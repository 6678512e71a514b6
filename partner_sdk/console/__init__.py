"""Pages for a firm without a developer, on this machine alone: `report-abuse-partner console` (docs/guides/console.md).

A distribution of its own, with Flask, which no other room loads (docs/decisions/0066). Every page is a thin view over
the functions that the commands use. `check` is the check of a button, which needs no Flask.

To add a page: write a view in the module of its subject, e.g. `feedback`, on its `blueprint`. The session, the person,
the token of each form and the headers are settled for every route (session.py, app.py); `page.py` has the tools of a
view, and a template takes forms and lists from `console/parts.html`. The first page of a subject may stand in `MENU` of
app.py.
"""
