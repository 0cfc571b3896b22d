"""The code of the client's own README, as the installed package holds it. Nothing of its text is kept here."""

from __future__ import annotations

import re

_PLACES = re.compile(
    r"^(?P<marks>#{2,4}) (?P<title>[^\n]+)$|^```(?P<language>\w*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL
)
_URLS = re.compile(r"http://(?:localhost|server1|server2):6632")


def blocks(metadata: str) -> dict[str, str]:
    """The Python blocks of a package's METADATA by place: the titles above, and from the second there its number."""
    found: dict[str, str] = {}
    titles: list[str] = []
    for match in _PLACES.finditer(metadata.partition("\n\n")[2]):
        if match["marks"]:
            titles = [*titles[: len(match["marks"]) - 2], match["title"].strip()]
        elif match["language"] == "python":
            place = " / ".join(titles)
            number = sum(name == place or name.startswith(f"{place} #") for name in found) + 1
            found[place if number == 1 else f"{place} #{number}"] = match["code"]
    return found


def with_url(code: str, url: str) -> str:
    """The one thing that is changed: where the server is."""
    return _URLS.sub(url, code)
