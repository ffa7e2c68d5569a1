"""Limits of connections, passed from the settings to the HTTP protocol.

The lifespan puts them into its state, which uvicorn passes to each connection.
"""

import resource
from dataclasses import dataclass

# The key in the lifespan's state.
CONNECTION_LIMITS = "connection_limits"

# Descriptors for the database, the model, files, logs and the event loop.
RESERVED_DESCRIPTORS = 64


@dataclass(frozen=True)
class ConnectionLimits:
    """The number of connections, and the time after which an idle one is closed.

    `keep_alive_s` exceeds the idle time-out of common proxies. Otherwise a proxy sends
    a request into a connection that is being closed.
    """

    keep_alive_s: float = 75.0
    max_connections: int = 512

    def within_descriptors(self) -> "ConnectionLimits":
        """The limits, with `max_connections` within the limit of open files."""
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft == resource.RLIM_INFINITY:
            return self
        allowed = max(1, min(self.max_connections, soft - RESERVED_DESCRIPTORS))
        return ConnectionLimits(self.keep_alive_s, allowed)
