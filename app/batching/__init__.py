"""Dynamic batching: requests that wait together share one run."""
