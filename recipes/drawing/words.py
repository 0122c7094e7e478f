"""How people tell of a scene: the prompts that the drawing model learns to understand. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from random import Random

from recipes import stories
from recipes.shapes import COLORS, SHAPES, Scene

STORY_LINES = (*stories.OPENINGS, *stories.MIDDLES, *stories.MEETINGS, *stories.ENDINGS)

WHOLE, PARTIAL, NOTHING, EMPTY = 0.72, 0.12, 0.08, 0.08
"""The shares of prompts that name a scene, a part of one, none, and of empty ones."""


@dataclass(frozen=True, slots=True)
class Told:
    """A prompt, and what it says of a picture; None where it does not say."""

    text: str
    color: str | None = None
    shape: str | None = None
    ground: str | None = None

    @property
    def names_nothing(self) -> bool:
        return not (self.color or self.shape or self.ground)


def told(scene: Scene, random: Random) -> Told:
    """Something that one could say of the scene, from all to nothing."""
    kind = random.choices((_whole, _partial, _nothing, _empty), (WHOLE, PARTIAL, NOTHING, EMPTY))[0]
    return kind(scene, random)


def _whole(scene: Scene, random: Random) -> Told:
    chance = random.random()
    if chance < 0.35:
        text = scene.prompt
    elif chance < 0.55:
        text = random.choice(STORY_LINES).format(scene.prompt)
    else:
        text = _filled(random.choice(TEMPLATES), scene, random)
    if random.random() < 0.35:
        text = _surrounded(text, random)
    return Told(_styled(text, random), scene.color, scene.shape, scene.ground)


def _partial(scene: Scene, random: Random) -> Told:
    template, parts = random.choice(PARTIAL_TEMPLATES)
    text = _surrounded(_filled(template, scene, random), random)
    return Told(_styled(text, random), **{part: getattr(scene, part) for part in parts})


def _nothing(scene: Scene, random: Random) -> Told:
    return Told(_styled(_filler(random, random.randint(1, 14)), random))


def _empty(scene: Scene, random: Random) -> Told:
    return Told("")


def _filled(template: str, scene: Scene, random: Random) -> str:
    words = {
        "color": scene.color,
        "shape": scene.shape,
        "ground": scene.ground,
        "floor": random.choice(FLOORS),
        "like": random.choice(ADJECTIVES) + " " if random.random() < 0.5 else "",
        "does": random.choice(VERBS),
        "on": random.choice(PLACES),
        "it": random.choice(("it", "he", "she")),
        "more": _filler(random, random.randint(1, 4)),
    }
    text = re.sub(r"\{(\w+)\}", lambda found: words[found[1]], template)
    return re.sub(r"\ba(?= [aeiou])", "an", text)


def _surrounded(text: str, random: Random) -> str:
    before = random.choice(OPENINGS) if random.random() < 0.5 else _filler(random, 3) + ", "
    after = ", " + _filler(random, random.randint(1, 6)) if random.random() < 0.6 else ""
    return (before if random.random() < 0.6 else "") + text + after


def _styled(text: str, random: Random) -> str:
    if random.random() < 0.4:
        text = text[:1].upper() + text[1:]
    if random.random() < 0.08:
        text = text.upper() if random.random() < 0.5 else text.title()
    return text + random.choice(("", "", "", ".", "!", "..."))


def _filler(random: Random, count: int) -> str:
    return " ".join(
        random.choice(FILLERS) if random.random() < 0.7 else _invented(random) for _ in range(count)
    )


def _invented(random: Random) -> str:
    """A word that nobody knows."""
    syllables = (
        random.choice("bcdfghjklmnprstvwyz") + random.choice(("a", "e", "i", "o", "u", "ee", "ou"))
        for _ in range(random.randint(1, 3))
    )
    word = "".join(syllables) + random.choice(("", "n", "r", "st", "ck", "lly", "ed", "ing", "s"))
    return word if word not in COLORS and word not in SHAPES else "mist"


def vocabulary() -> list[str]:
    """Every word of the templates and lists, those of the small world first."""
    texts = [*TEMPLATES, *(text for text, _ in PARTIAL_TEMPLATES), *OPENINGS, *VERBS, *PLACES]
    texts += [*ADJECTIVES, *FLOORS, *FILLERS, *STORY_LINES]
    words = re.findall(r"[a-z]+", " ".join(re.sub(r"\{\w+\}", " ", text) for text in texts).lower())
    return list(dict.fromkeys([*COLORS, *SHAPES, *words]))


def _listed(words: str, separator: str | None = None) -> list[str]:
    return words.split(separator)


TEMPLATES = (
    "a {like}{color} {shape} {does} {on} a {ground} {floor}",
    "the {like}{color} {shape} {does} {on} the {ground} {floor}",
    "a {color} {like}{shape} {does} {more} {on} a {ground} {floor}",
    "the {color} {shape} {does} {on} the {like}{ground} {floor}",
    "{on} a {ground} {floor} a {like}{color} {shape} {does}",
    "{on} the {ground} {floor} there was a {like}{color} {shape}",
    "there is a {color} {shape} {on} a {ground} {floor}",
    "{color} {shape}, {ground} {floor}",
    "{color} {shape} on {ground}",
    "{ground} {floor}, {color} {shape}",
    "{ground} {floor} with a {color} {shape}",
    "a {ground} {floor} and a {like}{color} {shape}",
    "a {shape} that is {color} {on} a {floor} that is {ground}",
    "the {shape} is {color} and the {floor} is {ground}",
    "the {floor} was {ground} and the {shape} was {color}",
    "a picture of a {color} {shape} on a {ground} {floor}",
    "once there was a {like}{color} {shape}. {it} {does} {on} a {ground} {floor}",
    "the {color} {shape} was {more}, and {it} {does} {on} the {ground} {floor}",
)

PARTIAL_TEMPLATES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("a {like}{color} {shape}", ("color", "shape")),
    ("the {color} {shape} {does}", ("color", "shape")),
    ("a {like}{shape} {does} {on} a {ground} {floor}", ("shape", "ground")),
    ("a {like}{shape}", ("shape",)),
    ("a {ground} {floor}", ("ground",)),
    ("the {floor} is {ground}", ("ground",)),
    ("something {color}", ("color",)),
    ("a {color} thing {does}", ("color",)),
)

FLOORS = ("ground",) * 8 + ("background",) * 3 + ("floor", "field", "land")
PLACES = ("on",) * 8 + (
    "over",
    "across",
    "upon",
    "above",
    "in front of",
    "against",
    "along",
    "at rest on",
)
ADJECTIVES = _listed(
    "little small big large tiny happy sad brave shy lonely old young kind clever sleepy quiet "
    "bright lovely bold merry gentle friendly curious flat simple single"
)
VERBS = _listed(
    "rolled,sat,stood,danced,slept,jumped,rested,lived,waited,sang,smiled,dreamed,played,walked,"
    "flew,hopped,shone,lay,was,is,sits,stands,rolls,dances,sleeps,rests,lives,waits,plays,came,"
    "went,looked,laughed,turned,moved slowly,fell asleep,drawn,painted,is seen,could be seen",
    separator=",",
)
OPENINGS = (
    "one morning ",
    "one day ",
    "once upon a time ",
    "long ago, ",
    "at night ",
    "then ",
    "and so ",
    "in the evening, ",
    "far away, ",
    "please draw ",
    "an illustration of ",
    "a drawing of ",
    "a photo of ",
    "draw ",
    "a story about ",
    "scene one: ",
)
FILLERS = _listed(
    "the a an and of to in it was is that he she they we you his her with as for at by from not "
    "but all were when there then so very every some who what which into out up down day night "
    "morning evening sun moon wind rain snow sea river hill tree house door window friend friends "
    "mother father child boy girl king queen cat dog bird fish horse fox bear mouse garden forest "
    "mountain road village town city story song dream game time year world home heart hand eye "
    "said told asked answered found made took gave saw heard knew thought felt wanted loved liked "
    "began ended stopped started never always often again away back here where why how good bad "
    "new long short high low warm cold soft hard slow fast near far first last next other many "
    "much more most only just even still too also once upon about after before because if until "
    "style painting picture art photo detailed beautiful nice watercolor oil pencil minimal clean "
    "named called said ruby max lily tom anna page chapter scene end happy little one two three"
)
