"""The wire (WIRE.md): what is sealed, signed and said, in its one spelling. Never reaches a network or a disk."""
