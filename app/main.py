"""The application for any ASGI server: `uvicorn app.main:app`, `fastapi run`.

The import connects to nothing and loads no model. `python -m app` also sets what only
the server's own options can set: see `app.__main__`.
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
    """Raises ConfigError for a missing or invalid setting."""
    settings = read_settings(Settings)
    prepare_process(blas_threads=settings.blas_threads)
    configure_logging(settings.log_level, as_json=not sys.stderr.isatty())
    # Imported after `prepare_process`: NumPy and others read the environment.
    with defer_model_build():
        from app.api.application import create_app  # noqa: PLC0415

        _prefer_bounded_http()
        return create_app(settings)


def _prefer_bounded_http() -> None:
    """Make `BoundedHttp` uvicorn's default protocol, as in `python -m app`.

    A single process loads its protocol after the application. With several workers
    each has loaded its protocol before; the application then logs a warning.
    """
    from uvicorn.config import HTTP_PROTOCOLS  # noqa: PLC0415

    from app.api.application import HTTP_PROTOCOL  # noqa: PLC0415

    HTTP_PROTOCOLS["auto"] = HTTP_PROTOCOL


try:
    app = _build()
except ConfigError as error:
    # Only on failure: other servers than uvicorn may import this module.
    from uvicorn.config import STARTUP_FAILURE

    print(error, file=sys.stderr)
    # A raised exception would print a traceback, and with another status uvicorn starts
    # its workers again for ever.
    sys.exit(STARTUP_FAILURE)
