"""How many connections, and how long an idle one stays: from settings to the protocol.

The lifespan hands it over in the state that uvicorn gives to each connection.
"""

import resource
from dataclasses import dataclass

# The name in the state of the lifespan.
CONNECTION_LIMITS = "connection_limits"

# Descriptors for the database, the model, files, logs and the loop itself.
RESERVED_DESCRIPTORS = 64


@dataclass(frozen=True)
class ConnectionLimits:
    """`keep_alive_s`: longer than the usual proxies', who else send a request into a
    connection that is just being closed.
    """

    keep_alive_s: float = 75.0
    max_connections: int = 512

    def within_descriptors(self) -> "ConnectionLimits":
        """No more connections than this process may have open files for."""
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft == resource.RLIM_INFINITY:
            return self
        most = max(1, min(self.max_connections, soft - RESERVED_DESCRIPTORS))
        return ConnectionLimits(self.keep_alive_s, most)
