"""The wire (WIRE.md): sealed boxes, signatures and messages, in one spelling. Never reaches a network or a disk."""
