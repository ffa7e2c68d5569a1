"""`python -m app`: run the service, configured for a small host."""

import math
import signal
import sys
from collections.abc import Sequence

from app import __version__
from app.config import Settings, read_settings
from app.errors import ConfigError
from app.ops.logs import configure_logging
from app.process import check_address, defer_model_build, prepare_process

# After SIGTERM each request ends by its deadline, but a client that never finishes its
# body would block the shutdown. Hosts kill the process after 30 seconds.
SHUTDOWN_SLACK_S = 2
MAX_SHUTDOWN_S = 20


def main() -> int:
    """Serve until a signal. Returns 2 for a missing or invalid setting, and 130 for
    Ctrl-C before the service is there.
    """
    if len(sys.argv) > 1:
        return _explain(sys.argv[1:])
    try:
        settings = read_settings(Settings)
        # Before anything is started: the server itself would find out last.
        check_address(settings.host, settings.port)
        prepare_process(blas_threads=settings.blas_threads)
        configure_logging(settings.log_level, as_json=not sys.stderr.isatty())
        _serve(settings)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        # During the server's imports; later it has a handler of its own.
        return 128 + signal.SIGINT
    return 0


def _explain(arguments: Sequence[str]) -> int:
    """Answer `--version` and `--help`; anything else is a mistake."""
    # Imported on demand: the service has no options.
    import argparse  # noqa: PLC0415

    parser = argparse.ArgumentParser(
        description="Start the service. Settings come from environment variables and"
        " the file `.env`, for example HOST, PORT and DATABASE_URL;"
        " docs/settings.md lists all of them."
    )
    parser.add_argument("--version", action="version", version=__version__)
    parser.parse_args(arguments)
    return 0


def _serve(settings: Settings) -> None:
    # Imported after `prepare_process`: NumPy and others read the environment.
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
        # No route uses WebSockets, and their connections would escape BoundedHttp.
        ws="none",
        # uvicorn logs through our handler; AccessLogMiddleware logs the requests.
        log_config=None,
        access_log=False,
        server_header=False,
        # The proxies whose X-Forwarded-For and -Proto are trusted.
        forwarded_allow_ips=settings.forwarded_allow_ips,
        timeout_graceful_shutdown=min(
            MAX_SHUTDOWN_S, math.ceil(settings.request_timeout_s) + SHUTDOWN_SLACK_S
        ),
    )


if __name__ == "__main__":
    sys.exit(main())
