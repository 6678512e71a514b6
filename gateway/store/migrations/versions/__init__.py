"""One file per change of the schema; r1, r2 and so on."""
