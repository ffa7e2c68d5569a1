"""Lays out the jobs over several Postgres servers, through postgres_fdw."""
