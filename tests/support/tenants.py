"""Whose everything is in tests that need one tenant: that of a server's callers."""

TENANT = "default"
