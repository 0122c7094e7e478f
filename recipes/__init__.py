"""How the small models of `models/small` were made: `python -m recipes NAME` makes one again."""
