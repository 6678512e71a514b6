"""Pages for a firm without a developer, on this machine alone: `report-abuse-partner console` (docs/guides/console.md).

Every page is a thin view over the functions that the commands use. The room needs the extra `console` (Flask), which no
other room loads.

To add a page: write a view in the module of its subject, e.g. `digest_pages`, on its `blueprint`. The session, the
person, the token of each form and the headers are settled for every route (session.py, app.py); `page.py` has the tools
of a view: `get_console`, `open_partner`, `show_page`, `go_to`, `note_act`. Its template extends `console/layout.html`
and takes forms and lists from `console/parts.html`. A new module goes into `PAGES` in app.py, or into `MENU` with a
`NAV`, the name of its first page there.
"""
