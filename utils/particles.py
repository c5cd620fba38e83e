"""Korean particles after a word that is known only when a sentence is shown: "`mask`를", "`dim`을", "`LSTM`으로".

A translation writes both forms in the usual way, right after a placeholder: "{name}을(를)", "{name}은(는)", "{name}이(가)",
"{name}과(와)", "{name}(으)로", "{name}(이)나". :func:`chosen` keeps the one that fits how the word is read aloud. English names are read
as Koreans read them: "dim" ends in a consonant (딤), "mask" does not (마스크).
"""

from __future__ import annotations

import re

# As written -> (after a consonant, after a vowel).
FORMS = {
    "을(를)": ("을", "를"),
    "은(는)": ("은", "는"),
    "이(가)": ("이", "가"),
    "과(와)": ("과", "와"),
    "(으)로": ("으로", "로"),
    "(이)나": ("이나", "나"),
    "(이)라": ("이라", "라"),
    "(이)며": ("이며", "며"),
    "(이)고": ("이고", "고"),
    "(이)면": ("이면", "면"),
    "(이)어": ("이어", "여"),
    "(이)었": ("이었", "였"),
}
BOTH = re.compile("|".join(map(re.escape, FORMS)))
_CLOSING = "`'\")]}*_. "  # what stands between a word and its particle and is not read
_DIGITS = {
    "0": "영",
    "1": "일",
    "2": "이",
    "3": "삼",
    "4": "사",
    "5": "오",
    "6": "육",
    "7": "칠",
    "8": "팔",
    "9": "구",
}
_LETTERS = {"l": "엘", "m": "엠", "n": "엔", "r": "알"}  # the other letters' names end in a vowel
# The end of an English word -> how that end sounds in Korean; the first that fits. What is not here ends in a vowel.
_ENDS = (
    ("(?:l|le)$", "ㄹ"),
    ("(?:m|me|n|ne|ng)$", "ㅇ"),
    ("(?:^|[^aeiou])[aeiou][pkt]$", "ㅂ"),  # map, top, set: a short vowel keeps the consonant in the syllable
    ("(?:out|ck|ook|oot)$", "ㅂ"),
)


def final(word: str) -> str:
    """The consonant with which a word ends when it is read aloud: "" for none, "ㄹ", or "ㅇ" and "ㅂ" for any other.

    Args:
        word: Korean, English, a number, or a name of Python's such as "num_heads"; marks behind it are not read.
    """
    word = word.rstrip(_CLOSING)
    last = _DIGITS.get(word[-1:], word[-1:])
    if not "가" <= last <= "힣":
        part = re.split(r"[^a-z]+", re.sub(r"([a-z])([A-Z])", r"\1 \2", word).lower())[-1]
        spelled = len(part) == 1 or re.search(r"(?:^|[^A-Za-z])[A-Z]{2,4}$", word)  # M, RGB, LSTM
        if not spelled:
            return next((sound for end, sound in _ENDS if re.search(end, part)), "")
        last = _LETTERS.get(part[-1:], "아")
    ending = (ord(last) - ord("가")) % 28
    return "" if ending == 0 else "ㄹ" if ending == 8 else "ㅇ"


def chosen(text: str) -> str:
    """A sentence with one form of each particle, by the word before it."""

    def one(match: re.Match) -> str:
        sound = final(text[: match.start()])
        consonant, vowel = FORMS[match[0]]
        return vowel if not sound or (sound == "ㄹ" and match[0] == "(으)로") else consonant

    return BOTH.sub(one, text)
