"""`python -m server` is `motet`."""

from server.cli.main import main

main()
