"""Send: answers become a sealed report, and a record without any of its text replaces the draft."""
