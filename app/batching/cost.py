"""What a request may cost, as it is counted before it waits. See docs/limits.md.

The one place of these limits. Queries are counted by themselves: one answered from
stored vectors adds little to a batch. Encoding is what is dear, some 12 ms of a
processor for a skill and up to 60 for a long text.
"""

from dataclasses import dataclass

# A batch of the short lane needs no more encodings than this: half a second at most.
SHORT_BATCH_ENCODINGS = 32

# A request that may need more than this, or has more queries, goes to the long lane.
SHORT_REQUEST_ENCODINGS = 2
SHORT_REQUEST_QUERIES = 8

# The long lane encodes for so many at once, and lets so many wait: what would come
# later than most deadlines is refused at once.
LONG_BATCH_ENCODINGS = 64
LONG_QUEUE_ENCODINGS = 640

# In an API key's rate, a query and so many encodings count as one request each.
ENCODINGS_PER_UNIT = 16

# After so many encodings a batch looks whether anybody still waits for it.
SLICE_TEXTS = 8


@dataclass(frozen=True)
class Cost:
    """At most: what a cache or the database holds already is not known yet."""

    queries: int
    encodings: int = 0

    @property
    def units(self) -> int:
        """As the rate of an API key counts it."""
        return self.queries + self.encodings // ENCODINGS_PER_UNIT

    @property
    def work(self) -> int:
        """As shares of the queue count it."""
        return self.queries + self.encodings

    @property
    def is_short(self) -> bool:
        return (
            self.encodings <= SHORT_REQUEST_ENCODINGS
            and self.queries <= SHORT_REQUEST_QUERIES
        )
