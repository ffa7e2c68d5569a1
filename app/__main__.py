"""`python -m app`: the service, with the process prepared for a small host."""

import logging
import os
import sys

from app.config import Settings, read_settings
from app.errors import ConfigError
from app.host import available_cpus, limit_malloc_arenas

# Requests that are running get this long after SIGTERM; the host waits for 30.
GRACEFUL_SHUTDOWN_S = 15


def main() -> int:
    """Serve until a signal; 2 when a setting is missing or malformed."""
    try:
        settings = read_settings(Settings)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    _prepare_process(settings)
    _serve(settings)
    return 0


def _prepare_process(settings: Settings) -> None:
    # OpenBLAS and the tokenizer read these once, when they are loaded.
    threads = str(settings.blas_threads or available_cpus())
    os.environ["OPENBLAS_NUM_THREADS"] = threads
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    limit_malloc_arenas(2)
    logging.basicConfig(
        level=settings.log_level.upper(),
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )


def _serve(settings: Settings) -> None:
    # Imported here, after the environment they read was set.
    import uvicorn  # noqa: PLC0415

    from app.main import create_app  # noqa: PLC0415

    uvicorn.run(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        log_level=settings.log_level,
        timeout_graceful_shutdown=GRACEFUL_SHUTDOWN_S,
    )


if __name__ == "__main__":
    sys.exit(main())
