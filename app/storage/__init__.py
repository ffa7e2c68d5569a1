"""The storage layer. No other package imports psycopg2."""
