"""`python -m server` is `motet`."""

from server.cli import main

main()
