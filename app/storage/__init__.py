"""Everything that talks to Postgres. Nothing above this package sees psycopg2."""
