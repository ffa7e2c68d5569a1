"""`python -m app.commands.import_csv`."""

import sys

from app.commands.import_csv.command import main

sys.exit(main())
