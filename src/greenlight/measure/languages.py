"""Which language is a text in? Told by its script, and by the commonest words where several languages share a script.

Made for answers of a sentence or more in one of the languages listed here. A text without letters has none.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from functools import lru_cache

from greenlight.measure.graders.normal import fold

MAX_CHARS = 20_000
"""As much of a text is read."""

_ALONE = {
    "KANNADA": "kn",
    "HANGUL": "ko",
    "GURMUKHI": "pa",
    "GUJARATI": "gu",
    "TELUGU": "te",
    "TAMIL": "ta",
    "THAI": "th",
    "BENGALI": "bn",
    "GREEK": "el",
    "HEBREW": "he",
    "MALAYALAM": "ml",
    "HIRAGANA": "ja",
    "KATAKANA": "ja",
    "CJK": "zh",
    "GEORGIAN": "ka",
    "ARMENIAN": "hy",
}
"""Scripts that one language uses, by the first word of their letters' names."""

_COMMON = {
    "LATIN": {
        "en": "the of and to a in is that it for was on are with as his they be at this have from or had by but not "
        "all were we when your can said there use an each which she do how their if will i you my so no who our more",
        "de": "der die das und ist nicht ein eine ich zu den mit von auf für im es sie dem des sich wir auch als an",
        "fr": "le la les et est pas un une je de des du que qui dans pour sur avec vous nous ce il elle plus au sont",
        "es": "el la los las y es no un una yo de que en por para con se lo como más su al del pero muy está son este",
        "pt": "o os as e é não um uma eu de que em por para com se como mais seu ao do da dos das mas você são está no",
        "it": "il lo la gli e è non un una io di che in per con si come più suo al del della sono ma questo nel anche",
        "nl": "de het een en is niet ik van te dat die in met op voor zijn er maar als ook aan bij we je naar was",
        "fi": "ja on ei se että hän oli mutta kun niin tai olen ovat ole myös voi kuin joka sen tämä mitä minä sinä ne",
        "sw": "na ya wa kwa ni katika za la kuwa hii kama cha yake yangu au si hiyo huo watu sana pia lakini wewe mimi",
        "vi": "và của là không có được một cho những các trong với này người đã để khi đến từ tôi bạn như về ra thì mà",
        "sv": "och att det i en som är på av för med till den har inte om ett jag de var men sig så kan vi man",
        "pl": "i w nie na się z do to że jest jak o co ale po tak za od czy już przez są być tylko dla",
        "tr": "ve bir bu da de için ile çok ne gibi daha olarak var ama o en kadar olan sonra ben değil mi",
        "id": "yang dan di dengan untuk tidak ini dari dalam akan pada itu juga adalah ke karena bisa ada saya kami",
    },
    "CYRILLIC": {
        "ru": "и в не на что с он как это но по из у к я а то все она так его вы был за мы от ы э ё",
        "bg": "и на да се е в за от не с че като по са ще до това си или но съм който ми ъ бъде може",
        "uk": "і в не на що з він як це але по із у до я а то все вона так його ви був за ми від є ї",
    },
    "DEVANAGARI": {
        "hi": "है के में की और का को से हैं नहीं यह एक पर कि भी हो था करने लिए इस ने तो आप जो मैं",
        "mr": "आहे आणि या च्या मध्ये हे ते एक नाही आहेत की व तो ती मी आपण करून असे होते साठी पण आपल्या",
        "ne": "छ र को मा लाई हो छन् यो हुन् पनि गर्न भएको एक तर तपाईं म हामी गर्छ थियो बाट छैन यस",
    },
    "ARABIC": {
        "ar": "في من على إلى أن هذا التي الذي هو هي ما لا عن مع كان قد كل ذلك بعد أو ثم لم هذه يكون",
        "fa": "و در به از که این را با است برای آن یک خود تا کرد بر هم نیز می شود های ها شما من ما بود",
        "ur": "کے میں کی ہے اور سے کا کو اس ہیں نے کہ یہ پر ایک بھی نہیں کر تھا ہو لیے جو آپ میں وہ",
    },
}
"""The commonest words of languages that share a script."""

_WORDS = {script: {name: frozenset(words.split()) for name, words in them.items()} for script, them in _COMMON.items()}


def language_of(text: str) -> str | None:
    """The ISO 639-1 code of the language that most of a text seems to be in; None where it has no letters."""
    read = text[:MAX_CHARS]
    scripts = Counter(unicodedata.name(letter, "?").split()[0] for letter in read if letter.isalpha())
    if not scripts:
        return None
    # Japanese mixes scripts: a few kana tell it from Chinese.
    kana = scripts["HIRAGANA"] + scripts["KATAKANA"]
    script = scripts.most_common(1)[0][0]
    if script == "CJK" and kana > scripts["CJK"] / 10:
        return "ja"
    if script not in _WORDS:
        return _ALONE.get(script)
    words = Counter("".join(c if c.isalnum() or unicodedata.category(c)[0] == "M" else " " for c in fold(read)).split())
    found = {name: sum(words[word] for word in common) for name, common in _WORDS[script].items()}
    best = max(found, key=found.__getitem__)
    return best if found[best] else next(iter(found))


@lru_cache(maxsize=64)
def common_words(language: str) -> tuple[str, ...]:
    """The commonest words of a language; of one that has a script to itself, letters of that script.

    Raises:
        KeyError: the language is not listed here.
    """
    for languages in _COMMON.values():
        if language in languages:
            return tuple(languages[language].split())
    script = next(name for name, only in _ALONE.items() if only == language)
    letters = (chr(code) for code in range(0x370, 0xD7A4) if unicodedata.name(chr(code), "").startswith(f"{script} "))
    return tuple(letter for letter in letters if letter.isalpha())[:40]
