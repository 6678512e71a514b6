"""The desk's pages: for people at this machine, behind a one-time start link, without script and without e-mail."""
