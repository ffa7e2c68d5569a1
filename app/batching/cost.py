"""The cost limits of requests, counted before they wait. See docs/limits.md.

A query answered from stored vectors adds little to a batch. Encoding is expensive:
about 12 ms of a processor for a skill and up to 60 ms for a long text.
"""

from dataclasses import dataclass

# A batch of the short lane needs no more encodings than this: half a second at most.
SHORT_BATCH_ENCODINGS = 32

# A request that may need more than this, or has more queries, goes to the long lane.
SHORT_REQUEST_ENCODINGS = 2
SHORT_REQUEST_QUERIES = 8

# Encodings of a batch and of the queue of the long lane. A longer queue would outlast
# most deadlines, so it refuses at once.
LONG_BATCH_ENCODINGS = 64
LONG_QUEUE_ENCODINGS = 640

# An API key's rate counts a query as one unit, and this many encodings as another.
ENCODINGS_PER_UNIT = 16

# After this many encodings a batch checks its deadline and its cancellation.
SLICE_TEXTS = 8


@dataclass(frozen=True)
class Cost:
    """An upper bound: it does not know yet what a cache or the database holds."""

    queries: int
    encodings: int = 0

    @property
    def units(self) -> int:
        """What it takes from an API key's rate."""
        return self.queries + self.encodings // ENCODINGS_PER_UNIT

    @property
    def work(self) -> int:
        """What it takes from a caller's share of the queue."""
        return self.queries + self.encodings

    @property
    def is_short(self) -> bool:
        return (
            self.encodings <= SHORT_REQUEST_ENCODINGS
            and self.queries <= SHORT_REQUEST_QUERIES
        )
