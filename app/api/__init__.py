"""The HTTP edge: routes, requests, responses. Only this package knows HTTP."""
