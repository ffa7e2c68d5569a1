"""Run the script's `main` with a small manifest, and kill it at a given point.

argv: the manifest; the number of the file operation to die at (0: never; -1: never, but
print when the lock is reached); the script's own arguments.
"""

import os
import signal
import sys

from app.commands.fetch_model.command import main as fetch_model
from app.encoder.checkpoint import Manifest

CHANGES = {"os.mkdir", "os.rename", "os.rmdir", "os.remove"}


def main() -> int:
    manifest, die_at, *argv = sys.argv[1:]
    die_at_change(int(die_at))
    pinned = Manifest.from_json(manifest.encode())
    return fetch_model(argv, {pinned.name: pinned})


def die_at_change(last: int) -> None:
    changes = 0

    def before(event: str, args: tuple[object, ...]) -> None:
        nonlocal changes
        if event == "fcntl.flock" and last == -1:
            print("at the lock", flush=True)
        if event in CHANGES or (event == "open" and "w" in str(args[1])):
            changes += 1
            if changes == last:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(before)


if __name__ == "__main__":
    sys.exit(main())
