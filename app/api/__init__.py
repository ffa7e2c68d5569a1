"""The HTTP layer: routes, requests, responses. Only this package knows HTTP."""
