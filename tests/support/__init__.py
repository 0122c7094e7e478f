"""Doubles of other people's servers, spoken to over real HTTP."""
