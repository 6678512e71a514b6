"""The formats of gateway and desk that no partner speaks: feed, public reports, the desk's statements."""
