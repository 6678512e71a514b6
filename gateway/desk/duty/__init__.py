"""The night's work: the pages of the duty officer, sized for a phone, and the hand-over to the day team."""
