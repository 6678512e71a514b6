"""One file per change of the schema; the numbers count up."""
