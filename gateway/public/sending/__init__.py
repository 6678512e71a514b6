"""Send: answers become a sealed report, and a record that holds no word of it takes the place of the draft."""
