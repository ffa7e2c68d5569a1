"""The application for any ASGI server: `uvicorn app.main:app`, `fastapi run`.

Importing it connects to nothing and loads no model. `python -m app` adds what only a
server's own settings can: see `app.__main__`.
"""

import sys
from typing import TYPE_CHECKING

from app.config import Settings, read_settings
from app.errors import ConfigError
from app.ops.logs import configure_logging
from app.process import defer_model_build, prepare_process

if TYPE_CHECKING:
    from fastapi import FastAPI


def _build() -> "FastAPI":
    """Raises ConfigError when a setting is missing or malformed."""
    settings = read_settings(Settings)
    prepare_process(blas_threads=settings.blas_threads)
    configure_logging(settings.log_level, as_json=not sys.stderr.isatty())
    # Imported here, after the environment they read was set.
    with defer_model_build():
        from app.api.application import create_app  # noqa: PLC0415

        _prefer_bounded_http()
        return create_app(settings)


def _prefer_bounded_http() -> None:
    """Make our protocol uvicorn's default, as `python -m app` chooses it.

    A single process loads its protocol after the application; one of several workers
    has loaded it before, which is said in the log.
    """
    from uvicorn.config import HTTP_PROTOCOLS  # noqa: PLC0415

    from app.api.application import HTTP_PROTOCOL  # noqa: PLC0415

    HTTP_PROTOCOLS["auto"] = HTTP_PROTOCOL


try:
    app = _build()
except ConfigError as error:
    print(error, file=sys.stderr)
    # Not an exception that a server would print with its traceback.
    sys.exit(2)
