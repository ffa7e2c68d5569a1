"""A replica of the jobs' embeddings in local files, exact and fresh."""
