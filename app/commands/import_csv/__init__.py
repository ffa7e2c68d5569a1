"""Load jobs or users from a CSV file, as programs and people save it."""
