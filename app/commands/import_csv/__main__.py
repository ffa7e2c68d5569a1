"""`python -m app.commands.import_csv`."""

import sys

from app.commands.import_csv.command import main

sys.argv[0] = "import_csv"  # what its usage calls it, not __main__.py
sys.exit(main())
