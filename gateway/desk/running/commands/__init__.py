"""The commands of `report-abuse-desk`, one file a subject."""
