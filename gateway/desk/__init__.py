"""The desk: the separate process that alone holds the private keys, opens sealed reports, and answers partners.

It stands on eight floors. A room imports from the floors below it and from no other room of its own; each holds a
subject: its rules, its pages and its commands.

1. ground: `store/` (tables, the audit log, alarms) and `vault/`, which alone holds private keys
2. office: `office/`, the open desk, its people and their permissions, and the frame of pages and commands
3. keys: `keyring/`, the agency's own keys and the lists that it signs
4. messages: `outbox/`, all that is sent, and its carriers
5. reports and partners: `collection/` (pull, verify, file) and `partners/` (accounts, mailboxes, places of buttons)
6. cases: `cases/`, from the queue to the outcome, with the actions that a case leads to
7. what follows: `outgoing/` (packages, notices, typed calls), `digests/` (figures, invitations) and `retention/` (how
   long a case is kept, and requests to see, correct or wipe one)
8. running: `running/`, all pages in one app, the commands, the doctor and the night's work

Never imports the rest of the gateway (only ``gateway.web``, ``gateway.databases``,
``gateway.guidance`` and ``gateway.exchange``), and the
gateway never imports it.
"""
