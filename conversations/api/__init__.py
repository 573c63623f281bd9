"""The HTTP layer: parses the request, calls one service, translates the result."""
