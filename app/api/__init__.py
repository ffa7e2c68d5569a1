"""The HTTP edge: routes, schemas, error answers. Only this package knows HTTP."""
