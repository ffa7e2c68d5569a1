"""`python -m app`: the service, with the process prepared for a small host."""

import math
import sys

from app.config import Settings, read_settings
from app.errors import ConfigError
from app.ops.logs import configure_logging
from app.process import defer_model_build, prepare_process

# After SIGTERM no request needs longer than its deadline; a client that holds half a
# body open might stay for ever. The host kills after 30 seconds.
SHUTDOWN_SLACK_S = 2
LONGEST_SHUTDOWN_S = 20


def main() -> int:
    """Serve until a signal; 2 when a setting is missing or malformed."""
    try:
        settings = read_settings(Settings)
        prepare_process(blas_threads=settings.blas_threads)
        configure_logging(settings.log_level, as_json=not sys.stderr.isatty())
        _serve(settings)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _serve(settings: Settings) -> None:
    # Imported here, after the environment they read was set.
    with defer_model_build():
        import uvicorn  # noqa: PLC0415

        from app.api.application import create_app  # noqa: PLC0415
        from app.api.http_protocol import BoundedHttp  # noqa: PLC0415

        app = create_app(settings)
    uvicorn.run(
        app,
        host=settings.host,
        port=settings.port,
        http=BoundedHttp,
        # Nothing here speaks it, and a connection that does would leave the bounds.
        ws="none",
        # Its lines go through our handler; requests are logged by AccessLogMiddleware.
        log_config=None,
        access_log=False,
        server_header=False,
        # Whose X-Forwarded-For and -Proto are believed.
        forwarded_allow_ips=settings.forwarded_allow_ips,
        timeout_graceful_shutdown=min(
            LONGEST_SHUTDOWN_S, math.ceil(settings.request_timeout_s) + SHUTDOWN_SLACK_S
        ),
    )


if __name__ == "__main__":
    sys.exit(main())
