"""The HTTP door: parses, calls one service, translates the answer."""
