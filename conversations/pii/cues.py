"""Cue words near a number: digits alone seldom tell a phone number from an order number."""

import re
from collections.abc import Callable
from enum import StrEnum
from functools import cache, cached_property

REACH = 32  # characters between a word and its number


class Cue(StrEnum):
    PHONE = "phone"
    REFERENCE = "reference"
    VERSION = "version"


_WORDS = {
    Cue.PHONE: (
        "phone phones telephone telefon tel mobile handphone cell cellphone hp call calling sms whatsapp wa contact"
        " hotline fax dial hubungi"
    ),
    Cue.REFERENCE: (
        "order orders purchase invoice receipt tracking parcel shipment waybill awb reference ref booking ticket case"
        " transaction txn serial sku item product batch lot account acct id policy quote model barcode pesanan"
    ),
    Cue.VERSION: "version ver release build firmware",
}
_CJK_WORDS = {
    Cue.PHONE: (
        "手机 手機 手提 电话 電話 联系 聯絡 联络 致电 致電 拨打 撥打 来电 座机 热线 熱線 传真 傳真 加我 我的号码"
        " 微信 短信"
    ),
    Cue.REFERENCE: (
        "订单 訂單 单号 單號 编号 編號 流水 发票 發票 快递 快遞 运单 物流 批号 序列号 货号 工单 案件 账号 帳號 会员号"
        " 条码 型号 交易"
    ),
    Cue.VERSION: "版本 固件",
}
_BY_WORD = {
    word: cue for table in (_WORDS, _CJK_WORDS) for cue, words in table.items() for word in words.split()
}
_CJK_WORD = re.compile("|".join(word for words in _CJK_WORDS.values() for word in words.split()))
_TOKEN = re.compile("[A-Za-z]+|[\u4e00-\u9fff]+")
_FILLERS = re.compile(
    r"(?:[\s:#.=_(号码號碼是为為]|(?i:number|numbers|no|nr|num|id|code|is|was)(?![A-Za-z]))*"
)
_SAYS_MORE = re.compile(r"[0-9\[]")  # a number, or the placeholder of one
Place = tuple[int, int, Cue]
"""Where a cue begins and ends in its word or run of ideographs."""

_DEPENDENT = "id"  # takes its meaning from the word before it: "WhatsApp id"


class Cues:
    """The cue words of one text, searched for only around numbers."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._last_asked: tuple[int, int, Cue | None] = (-1, 0, None)

    @cached_property
    def _has_any(self) -> bool:
        lowered = self._text.lower()
        return any(word in lowered for word in _BY_WORD)

    def before(self, position: int, reach: int = REACH) -> Cue | None:
        """The nearest word that ends at most `reach` characters before `position`, up to `REACH`."""
        if not self._has_any:
            return None
        end, cue = self._nearest_before(position)
        return cue if position - end <= reach else None

    def announces(self, position: int, reach: int) -> bool:
        """Whether the nearest cue is a word for telephones, without another number between it and `position`."""
        if not self._has_any:
            return False
        end, cue = self._nearest_before(position)
        return (
            cue is Cue.PHONE and position - end <= reach and not _SAYS_MORE.search(self._text, end, position)
        )

    def names(self, position: int) -> Cue | None:
        """The cue that directly precedes `position`, fillers apart: "order no. ", "订单号是"."""
        if not self._has_any:
            return None
        end, cue = self._nearest_before(position)
        return cue if cue and _FILLERS.fullmatch(self._text, end, position) else None

    def after(self, position: int, reach: int = REACH) -> Cue | None:
        """The nearest word that starts at most `reach` characters after `position`."""
        if self._has_any:
            for token in _TOKEN.finditer(self._text, position, position + 2 * reach):
                for start, _, cue in self._cues_in(token):
                    return cue if token.start() + start - position <= reach else None
        return None

    def _nearest_before(self, position: int) -> tuple[int, Cue | None]:
        asked, end, cue = self._last_asked
        if asked != position:
            end, cue = self._look_before(position)
            self._last_asked = (position, end, cue)
        return end, cue

    def _look_before(self, position: int) -> tuple[int, Cue | None]:
        nearest: tuple[int, Cue | None] = (0, None)
        for token in reversed(list(_TOKEN.finditer(self._text, max(0, position - REACH), position))):
            if cues := self._cues_in(token):
                _, end, cue = cues[-1]
                nearest = token.start() + end, cue
            if nearest[1] and token[0].lower() != _DEPENDENT:
                break
        return nearest

    def _cues_in(self, token: re.Match[str]) -> list[Place]:
        cues = self._cues_of(token[0])
        return [] if cues and _is_placeholder(token) else cues

    @cached_property
    def _cues_of(self) -> Callable[[str], list[Place]]:
        """A cache for each text: words recur."""
        return cache(_cues_of)


def _cues_of(word: str) -> list[Place]:
    """The word itself, or the words in a run of ideographs."""
    if word.isascii():
        cue = _BY_WORD.get(word.lower())
        return [(0, len(word), cue)] if cue else []
    return [(*cue.span(), _BY_WORD[cue[0]]) for cue in _CJK_WORD.finditer(word)]


def _is_placeholder(token: re.Match[str]) -> bool:
    """The word of `[PHONE_7f3a]` is no cue for the number after it."""
    return (
        token[0].isascii()
        and token.string[token.start() - 1 : token.start()] == "["
        and token.string[token.end() : token.end() + 1] == "_"
    )
