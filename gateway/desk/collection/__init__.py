"""Collection: fetch rows from the gateway, verify them, follow their chain, file them as cases, and set the rest aside."""
