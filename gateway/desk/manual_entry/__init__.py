"""Manual entry: a phone call, a letter or a visit that a person enters as a report."""
