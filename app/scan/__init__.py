"""From the bytes of a COPY to the best N jobs of each query. Knows no SQL, no HTTP."""
