import sys

from app.commands.fetch_model.command import main

if __name__ == "__main__":
    sys.exit(main())
