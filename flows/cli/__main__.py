"""``python -m flows.cli``."""

from flows.cli.entry import main

main()
