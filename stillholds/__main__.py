"""`python -P -m stillholds`: the command, for those who start it without the script."""

from stillholds.cli import main

main()
