import re
from collections.abc import Iterator

from conversations.pii.reading import Reading
from conversations.pii.values import Kind, Span

# What follows each vendor's key prefix.
_KEYS = {
    "rmb_": "[A-Za-z0-9_-]{8,}",  # our own
    "sk-": "[A-Za-z0-9_-]{20,}",  # OpenAI, Anthropic and those who follow them
    **dict.fromkeys(("gho_", "ghp_", "ghr_", "ghs_", "ghu_"), "[A-Za-z0-9]{36,}"),
    "github_pat_": "[A-Za-z0-9_]{22,}",
    "glpat-": "[A-Za-z0-9_-]{20,}",
    **dict.fromkeys(("AKIA", "ASIA"), "[A-Z0-9]{16}"),  # AWS
    "LTAI": "[A-Za-z0-9]{12,}",  # Alibaba
    "AKID": "[A-Za-z0-9]{32,}",  # Tencent
    "AIza": "[A-Za-z0-9_-]{35}",  # Google
    "GOCSPX-": "[A-Za-z0-9_-]{20,}",
    "ya29.": "[A-Za-z0-9_-]{20,}",
    **dict.fromkeys(
        ("xoxa-", "xoxb-", "xoxe-", "xoxo-", "xoxp-", "xoxr-", "xoxs-", "xapp-"), "[A-Za-z0-9-]{10,}"
    ),
    **dict.fromkeys(("sk_live_", "sk_test_", "rk_live_", "rk_test_"), "[A-Za-z0-9]{16,}"),  # Stripe
    "whsec_": "[A-Za-z0-9+/=]{16,}",
    "SG.": r"[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}",  # SendGrid
    "SK": "[0-9a-f]{32}(?![A-Za-z0-9])",  # Twilio
    "hf_": "[A-Za-z0-9]{30,}",
    "npm_": "[A-Za-z0-9]{36}",
    "pypi-": "[A-Za-z0-9_-]{50,}",
    "dop_v1_": "[0-9a-f]{64}",
    **dict.fromkeys(("shpat_", "shpca_", "shppa_", "shpss_"), "[A-Fa-f0-9]{32}"),
    "eyJ": r"[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*",  # JSON web tokens
}
_PREFIXES = tuple(_KEYS)
# The look-behind excludes what a key may consist of: a long run of such characters is scanned once, not once for
# each prefix in it.
_KEY = re.compile(
    rf"(?<![A-Za-z0-9_-])(?:{'|'.join(re.escape(prefix) + rest for prefix, rest in _KEYS.items())})"
)
# Telegram's bots
_BOT_TOKEN = re.compile(r"[0-9](?<![A-Za-z0-9_-].)[0-9]{7,9}:[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])", re.DOTALL)

_AUTHORIZATION = re.compile(
    r"[Bb](?<![A-Za-z].)(?:earer|EARER|asic)[ \t]{1,4}(?P<value>[A-Za-z0-9._~+/-]{16,}={0,2})", re.DOTALL
)
_PRIVATE_KEY = re.compile(
    r"-----BEGIN (?:[A-Z]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----"
    # Without an END line, the rest of the text is taken for the key.
    r"(?:[^-]++|-(?!----END ))*+(?:-----END (?:[A-Z]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----)?"
)
_URL_CREDENTIALS = re.compile(r"://(?P<value>[^\s/?#@:]{0,128}:[^\s/?#@]{1,256})(?=@)")

_PASSWORD = re.compile(
    r"(?:(?<![A-Za-z])(?i:(?P<password>pass(?:word|wd|code|phrase)|pwd|(?:login[ _-]?)?pin)"
    r"|secret(?:[ _-]?(?:access[ _-]?)?key)?|(?:api|access|private)[ _-]?key"
    r"|(?:access|auth|refresh|api|bot)[ _-]?token)(?![A-Za-z])|(?P<password_cjk>密码|密碼|口令)|密钥|密鑰)"
    r"(?:(?:[ ](?:for|to|of)[ ][A-Za-z ]{1,24}[A-Za-z])?[\"']?[ \t]{0,3}(?P<verb>[:=]|(?:is|was)(?![A-Za-z])|是|为|為)"
    r"|[ \t]|(?<=[码碼令钥鑰]))[ \t]{0,3}[\"'`]?"
    r"(?P<value>[!#-&)-Z\\\]-_a-~][!#-&(-_a-~]{3,127})"
)
_PASSWORD_HINTS = ("pass", "pwd", "secret", "key", "token", "密码", "密碼", "口令", "密钥", "密鑰")
_PIN_HINT = re.compile("pin(?![a-z])")  # not "shipping"
_ONE_TIME = re.compile(
    r"(?:(?<![A-Za-z])(?i:otp|one[- ]time (?:code|password|passcode|pin)"
    r"|(?:verification|security|access|login) code|cvv2?|cvc2?)"
    r"|验证码|驗證碼|校验码|动态码|動態碼|安全码)"
    r"(?:[ \t:]{0,3}(?:is|was|是|为|為)?[ \t:]{0,3})(?P<value>[0-9]{3,8})(?![0-9])"
)
_ONE_TIME_HINTS = (
    "otp", "code", "one-t", "one t", "cvv", "cvc", "验证码", "驗證碼", "校验码", "动态码", "動態碼", "安全码",
)  # fmt: skip

_TRAILING = ".,;:)]}>\"'"
_ORDINARY = {
    "null", "none", "true", "false", "undefined", "required", "optional", "incorrect", "invalid", "expired",
}  # fmt: skip
_RANGE = re.compile(r"[0-9]{1,3}-[0-9]{1,3}")
_CALL = re.compile(r"[A-Za-z_]\(")  # a function call, not a value
_SHORTEST, _SHORTEST_STATED, _LONG = 4, 6, 16


class Secrets:
    """Credentials: keys by their vendors' prefixes, tokens, private keys, passwords in URLs and in sentences."""

    def find(self, reading: Reading) -> Iterator[Span]:
        text = reading.text
        lowered = text.lower()
        if _has_any(text, _PREFIXES):
            yield from _values(_KEY, text, group=0)
        if ":" in text and reading.has_numbers:
            yield from _values(_BOT_TOKEN, text, group=0)
        if "bearer" in lowered or "basic" in lowered:
            yield from _values(_AUTHORIZATION, text)
        if "-----BEGIN " in text:
            yield from _values(_PRIVATE_KEY, text, group=0)
        if "://" in text and "@" in text:
            yield from _values(_URL_CREDENTIALS, text)
        if _has_any(lowered, _PASSWORD_HINTS) or _PIN_HINT.search(lowered):
            yield from _passwords(text)
        if _has_any(lowered, _ONE_TIME_HINTS):
            yield from _values(_ONE_TIME, text)


def _has_any(text: str, hints: tuple[str, ...]) -> bool:
    for hint in hints:  # noqa: SIM110  (a generator costs three times as much, on every message)
        if hint in text:
            return True
    return False


def _values(pattern: re.Pattern[str], text: str, group: int | str = "value") -> Iterator[Span]:
    for match in pattern.finditer(text):
        yield Span(Kind.SECRET, match.start(group), match.end(group), match[group])


def _passwords(text: str) -> Iterator[Span]:
    for match in _PASSWORD.finditer(text):
        value = match["value"].rstrip(_TRAILING)
        if _is_secret(
            value, match["verb"] or "", of_a_person=bool(match["password"] or match["password_cjk"])
        ):
            start = match.start("value")
            yield Span(Kind.SECRET, start, start + len(value), value)


def _is_secret(value: str, verb: str, *, of_a_person: bool) -> bool:
    """After a colon anything may be a password, but no key is a plain word; elsewhere no plain word counts."""
    word = value.rstrip("!?")
    if len(value) < _SHORTEST or word.lower() in _ORDINARY or len(set(value)) == 1 or _CALL.search(value):
        return False
    mixed = any(map(str.isalpha, word)) and any(map(str.isdigit, word))
    match verb:
        case ":" | "=":
            return of_a_person or mixed or len(value) >= _LONG
        case "":
            return mixed and value[0].isalnum() and len(value) >= _SHORTEST_STATED
    return not word.isalpha() and len(value) >= _SHORTEST_STATED and not _RANGE.fullmatch(word)
