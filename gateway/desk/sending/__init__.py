"""The run that sends every kind of the outbox, with its page and its commands (`post`, `alert`)."""
