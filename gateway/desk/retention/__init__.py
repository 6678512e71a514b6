"""How long the desk keeps a case: classes, legal holds, destruction by two people, and its certificates."""
