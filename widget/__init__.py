"""The button that services put on their pages: files only, served by `gateway/button`; imports nothing."""
