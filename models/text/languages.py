"""Names of languages as short tags. Pure."""

from __future__ import annotations

WHISPER = """
    en english, zh chinese, de german, es spanish, ru russian, ko korean, fr french, ja japanese,
    pt portuguese, tr turkish, pl polish, ca catalan, nl dutch, ar arabic, sv swedish, it italian,
    id indonesian, hi hindi, fi finnish, vi vietnamese, he hebrew, uk ukrainian, el greek, ms malay,
    cs czech, ro romanian, da danish, hu hungarian, ta tamil, no norwegian, th thai, ur urdu,
    hr croatian, bg bulgarian, lt lithuanian, la latin, mi maori, ml malayalam, cy welsh, sk slovak,
    te telugu, fa persian, lv latvian, bn bengali, sr serbian, az azerbaijani, sl slovenian,
    kn kannada, et estonian, mk macedonian, br breton, eu basque, is icelandic, hy armenian,
    ne nepali, mn mongolian, bs bosnian, kk kazakh, sq albanian, sw swahili, gl galician,
    mr marathi, pa punjabi, si sinhala, km khmer, sn shona, yo yoruba, so somali, af afrikaans,
    oc occitan, ka georgian, be belarusian, tg tajik, sd sindhi, gu gujarati, am amharic,
    yi yiddish, lo lao, uz uzbek, fo faroese, ht haitian creole, ps pashto, tk turkmen, nn nynorsk,
    mt maltese, sa sanskrit, lb luxembourgish, my myanmar, bo tibetan, tl tagalog, mg malagasy,
    as assamese, tt tatar, haw hawaiian, ln lingala, ha hausa, ba bashkir, jv javanese,
    su sundanese, yue cantonese
"""
"""The languages that models of the kind hear, by their tags; some servers tell the names alone."""
TAGS = {
    name: tag for tag, _, name in (entry.strip().partition(" ") for entry in WHISPER.split(","))
}
OLD_TAGS = {"jw": "jv", "iw": "he", "in": "id"}


def language_tag(language: str) -> str:
    """Return the BCP 47 tag of a language that a server names in whichever way; empty: unknown."""
    said = language.strip().lower().replace("_", "-")
    if said in TAGS:
        return TAGS[said]
    main, hyphen, rest = said.partition("-")
    if not 2 <= len(main) <= 3 or not main.isalpha():
        return ""
    return OLD_TAGS.get(main, main) + hyphen + rest
