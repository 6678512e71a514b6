"""Asks a person for a report, question by question, along the outline of the model: no second list of fields."""
