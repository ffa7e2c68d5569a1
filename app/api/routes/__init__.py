"""One resource a module: each route parses, makes one call, and returns."""
