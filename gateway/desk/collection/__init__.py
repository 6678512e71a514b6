"""Collection: fetches rows from the gateway, verifies them, follows their chain, files cases or sets rows aside."""
