"""A partner's side: its own folder, its way to the gateway, its receipts and its mailbox."""
