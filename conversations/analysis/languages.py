"""Word lists as data, one set per language; a language without lists has no such features.

All patterns are searched in folded text that keeps its case (`tokens.fold`). Every repetition that another
character must follow is bounded: what people send must not be able to make the search quadratic.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WordLists:
    """What a language's turns and questions are recognised by."""

    code: str
    stop_words: frozenset[str]
    light_stop_words: frozenset[str]
    """The short list, for session documents and dates, where names and small words still tell something."""
    temporal: re.Pattern[str]
    number: re.Pattern[str]
    first_person: re.Pattern[str]
    second_person: re.Pattern[str]
    proper: re.Pattern[str]
    """Names inside a sentence, and quoted titles."""
    asks_when: re.Pattern[str]
    asks_how_many: re.Pattern[str]
    asks_for_name: re.Pattern[str]


def _words(listed: str) -> frozenset[str]:
    return frozenset(listed.split())


def _any_of(words: str, *patterns: str) -> re.Pattern[str]:
    # ASCII, so that a Latin word ends where Chinese text begins.
    return re.compile(rf"\b(?:{'|'.join([*words.split(), *patterns])})\b", re.IGNORECASE | re.ASCII)


def _opening(*patterns: str) -> re.Pattern[str]:
    return re.compile(rf"^\W*(?:{'|'.join(patterns)})", re.IGNORECASE | re.ASCII)


_ENGLISH_LIGHT = _words(
    """
    a an and are as at be but by do does did for had has have he her how i if in into is it me my no not of
    on or our she such that the their then there these they this to us was we what when where which who will
    with would could should you your him his
    """
)
_ENGLISH_STOP = _ENGLISH_LIGHT | _words(
    """
    about above after again all also am any because been before being below between both can d didn doesn
    don down during each few from further get got here hers herself himself id ill im isn aren itself ive
    just ll m more most myself nor off once only other ours ourselves out over own re s same so some t than
    themselves theirs those through too up ve very wasn were weren weve while whom why youd youll your yours
    yourself yourselves youre youve
    """
)

ENGLISH = WordLists(
    code="en",
    stop_words=_ENGLISH_STOP,
    light_stop_words=_ENGLISH_LIGHT,
    temporal=_any_of(
        """
        yesterday today tonight tomorrow last next ago recently soon since
        week weekend month year years days? morning evening night summer winter spring fall
        january february march april june july august september october november december
        monday tuesday wednesday thursday friday saturday sunday mon tue tues wed thur thurs fri sat sun
        """,
        r"\d{4}",
    ),
    number=_any_of(
        r"\d+ one two three four five six seven eight nine ten dozen couple several few",
        "once|twice|second|third",
    ),
    first_person=_any_of("i me my we our"),
    second_person=_any_of("you your"),
    proper=re.compile(r'(?<=[a-z,;] )[A-Z][a-z]+|"[^"]{1,80}"'),
    asks_when=_opening(
        "when", "what (?:date|day|month|year)", "how long", "(?:in |during )?(?:which|what) (?:month|year)"
    ),
    asks_how_many=_opening("how (?:many|much|often|old|long)"),
    asks_for_name=_opening(
        "who",
        "which",
        "where",
        "what (?:is|was|are) the (?:name|title)",
        "what (?:book|movie|game|country|city|state|band|song)",
    ),
)

# Chinese stop words are pairs of characters, as in the index.
_CHINESE_STOP = _words(
    """
    的 了 是 我 你 您 他 她 它 们 在 有 和 与 就 不 也 吗 呢 吧 啊 呀 这 那 都 很 把 被 给 让 请 个 我们
    你们 您们 他们 她们 它们 咱们 们的 我的 你的 您的 他的 她的 自己 大家 什么 怎么 怎样 为什 哪个 哪些 哪里
    哪儿 多少 是否 这个 那个 这些 那些 这样 那样 这里 那里 时候 的时 一个 一些 一下 没有 可以 因为 所以
    但是 如果 还是 或者 以及 而且 已经 就是 不是 也是 都是 是的 的是 了吗 是不 的吗 一样
    """
)
_NUMERAL = "[一二两三四五六七八九十百千万几]"

CHINESE = WordLists(
    code="zh",
    stop_words=_CHINESE_STOP,
    light_stop_words=_CHINESE_STOP,
    temporal=re.compile(
        rf"[昨今明前后]天|[上下本这](?:个)?(?:周|月|星期|礼拜)|[去今明前后]年|(?:周|星期|礼拜)[一二三四五六日天末]"
        # A year in four digits is already counted by the English list.
        rf"|(?<![0-9])(?:[0-9]{{1,2}}|{_NUMERAL}{{1,4}})(?:年|月|日|号|天|周|个月|点)"
        rf"|早上|上午|中午|下午|晚上|凌晨|最近|刚才|刚刚|以前|之前|之后|春天|夏天|秋天|冬天"
    ),
    number=re.compile(
        rf"(?:[0-9]|{_NUMERAL})(?:个|次|位|名|只|条|件|张|本|台|辆|岁|年|月|日|天|周|点|元|块|千|万|公里|小时|分钟|倍|杯|家|种|份)"
    ),
    first_person=re.compile("我|咱|俺"),
    second_person=re.compile("你|您"),
    proper=re.compile(
        '《[^《》]{1,80}》|「[^「」]{1,80}」|『[^『』]{1,80}』|"[^"]{1,80}"|(?<=[\u4e00-\u9fff])[A-Z][A-Za-z]+'
    ),
    asks_when=re.compile(
        "什么时候|什么时间|何时|几时|哪一?天|哪一?年|几月|几号|几点|星期几|周几|多久|多长时间"
    ),
    asks_how_many=re.compile("多少|几[个次位名只条件张本台辆岁年月天周点元块]|多久|多大|多长|多远|多贵"),
    asks_for_name=re.compile("谁|哪[个位里儿家些一]|什么名字|叫什么|名称|哪(?:国|市|省)|什么地方"),
)

LANGUAGES: dict[str, WordLists] = {lists.code: lists for lists in (ENGLISH, CHINESE)}

STOP_WORDS: frozenset[str] = frozenset().union(*(lists.stop_words for lists in LANGUAGES.values()))
LIGHT_STOP_WORDS: frozenset[str] = frozenset().union(
    *(lists.light_stop_words for lists in LANGUAGES.values())
)


def lists_for(language: str | None) -> Sequence[WordLists]:
    """The lists to apply to text declared as `language` (BCP 47), or not declared.

    People mix English and Chinese in one sentence, and neither list matches in the other's script: so a
    text in one of them, or of unknown language, gets both; any other language gets none.
    """
    primary = (language or "und").replace("_", "-").split("-")[0].lower()
    return tuple(LANGUAGES.values()) if primary in {"und", "mul", *LANGUAGES} else ()
