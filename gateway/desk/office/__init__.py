"""The open desk (`wiring`), its people and their permissions (`people/`), and the frame of its pages and commands."""
