"""The running top-k of a stream, exact and with ties by id."""
