"""Who shows the button where: agreements, the link ids, checks of the pages, and what the register lists of them."""
