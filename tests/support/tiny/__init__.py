"""Tiny models of real libraries, made by the `make_...` programs and loaded without a manager."""
