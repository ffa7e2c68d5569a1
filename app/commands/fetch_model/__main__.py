"""`python -m app.commands.fetch_model`."""

import sys

from app.commands.fetch_model.command import main

if __name__ == "__main__":
    sys.argv[0] = "fetch_model.py"  # what its usage calls it, not __main__.py
    sys.exit(main())
