"""Rankings: from a batch of queries to their best rows."""
