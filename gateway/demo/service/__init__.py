"""A made-up online service that carries the button: five pages, as a real one would build them. Never sees a report."""
