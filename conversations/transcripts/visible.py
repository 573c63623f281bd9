"""Makes hidden and direction-changing characters visible, so that a reader can trust the text."""

import re

# Zero-width joiners stay, because Persian, Hindi and emoji are written with them; so do the tags that spell the flag
# of a region behind the black flag. The same tags elsewhere are text that only machines can see.
_FLAG = "\U0001f3f4[\U000e0020-\U000e007e]+\U000e007f"
_HIDDEN = (
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
_PATTERN = re.compile(f"({_FLAG})|\r\n|{_HIDDEN}")


def visible(text: str) -> str:
    """The text with its hidden and direction-turning characters shown as `⟨U+202E⟩`; line feeds and tabs stay."""
    return _PATTERN.sub(_shown, text)


def _shown(found: re.Match[str]) -> str:
    if found[1] or found[0] == "\r\n":
        return found[1] or "\n"
    return f"⟨U+{ord(found[0]):04X}⟩"
