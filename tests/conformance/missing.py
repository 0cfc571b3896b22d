"""What the client offers and the server does not have yet: feature → the route. Nothing, just now.

A line here expects the test of that feature to fail, for no other reason than the route. Take it out when its route is
there.
"""

from __future__ import annotations

MISSING: dict[str, str] = {}
