"""The button for services' pages: files only, served by `gateway/button`; imports nothing."""
