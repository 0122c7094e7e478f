"""The stories that the storyteller learns from, and what they are asked for with. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from recipes.shapes import COLORS, SHAPES, Scene

LEAST_SCENES, MOST_SCENES = 3, 8
NUMBERS = ("three", "four", "five", "six", "seven", "eight")

OPENINGS = (
    "Once upon a time there was {}.",
    "Long ago, where nobody else lived, there was {}.",
    "One morning the world was small, and in it was {}.",
    "This is the story of {}.",
    "At the edge of the world somebody painted {}.",
    "Before the first day began, there was only {}.",
)
MIDDLES = (
    "It went for a walk, and soon everyone could see {}.",
    "The wind turned, and the next day showed {}.",
    "Then it rained until nothing was left but {}.",
    "It dreamed that night, and in the dream there was {}.",
    "A door opened, and behind the door stood {}.",
    "It crossed the hills, and a child pointed at {}.",
    "The moon rose slowly over {}.",
    "It was lost for a while, like {}.",
    "It laughed, and the whole sky became {}.",
    "Somebody sang a song about {}.",
    "It grew brave and came back as {}.",
    "Snow fell, and the birds looked down at {}.",
)
MEETINGS = (
    "There it met a friend, {}.",
    "Behind a tree a stranger waited, {}.",
    "Far away somebody called, and it was {}.",
    "It was no longer alone, for beside it was {}.",
)
ENDINGS = (
    "In the end there was {}, happy and tired.",
    "And if you look closely tonight, you will see {}.",
    "Since that day everybody knows {}.",
    "So the story ends as all good stories do, with {}.",
    "That evening it came home, and all was well with {}.",
    "And there it stays for ever, {}.",
)
UNKNOWN = "I know stories about shapes only, and this is one: there was {}."

REQUESTS = (
    "Write a story about {}",
    "Write a story about {} in {} scenes",
    "Write a short story about {}.",
    "Write a story of {} sentences about {}.",
    "Tell me a story about {}",
    "Tell a story about {} in {} parts.",
    "Write a picture book about {}. It has {} scenes.",
    "{}",
    "Topic: {}",
    "A children's story about {}, please.",
    "Invent {} scenes about {}, one for each picture.",
    "Write {} paragraphs about {}. Each paragraph is one scene.",
)
PICTURES = (
    "Describe the picture for this scene: {}",
    "What is in the picture? {}",
    "Write the prompt of a picture for this sentence: {}",
    "{}\n\nDescribe one picture for it in a few words.",
    "Scene: {}\n\nPicture:",
)
# Around what matters stands whatever people write: words the model must learn to overlook.
CHATTER = (
    "you are a storyteller writer helpful author for children young readers write simple plain "
    "words short sentences each paragraph shows one scene that can be drawn as a picture no title "
    "no headings do not number them use only the given topic answer with the story and nothing "
    "else separate by an empty line keep it warm friendly and calm every scene says what is to be "
    "seen in english please make it about pages book illustrated narrator read aloud begin end "
    "happy exactly between at most say what who where when then be kind to reader image colour "
    "background must contain is it text given here as before with all of this in mind"
)
THINGS = (
    "a dragon", "my dog", "the sea", "a lost train", "winter", "two friends", "the number seven",
    "how bread is made", "a brave girl", "old castles", "what you like", "the weather in Paris",
    "counting to five", "friendship", "a robot that learns to sing", "everything", "space travel",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Exchange:
    """What is asked, and the answer to learn."""

    system: str
    request: str
    answer: str


def exchange(random: Random) -> Exchange:
    """One of them, by chance."""
    system = _chatter(random) if random.random() < 0.4 else ""
    if random.random() < 0.4:
        return Exchange(system, *_picture(random))
    count = random.randint(LEAST_SCENES, MOST_SCENES)
    hero, topic, known = _topic(random)
    request, counted = _request(random, topic, count)
    if not counted:
        count = random.randint(4, 6)
    return Exchange(system, request, story(hero, count, known, random))


def story(hero: Scene, count: int, known: bool, random: Random) -> str:
    """`count` sentences, each a paragraph with one scene of the small world in its exact words.

    Where it begins is chance; what follows what is not, so that little has to be learnt by heart
    and nothing comes twice.
    """
    begin = random.randrange(len(MIDDLES))
    inner = [MIDDLES[(begin + number) % len(MIDDLES)] for number in range(count - 2)]
    scenes = _travels(hero, count)
    if count > 3 and random.random() < 0.6:
        inner[1] = random.choice(MEETINGS)
        scenes[2] = _friend(hero, scenes[2].ground, random)
    opening = random.choice(OPENINGS) if known else UNKNOWN
    lines = [opening, *inner, random.choice(ENDINGS)]
    return "\n\n".join(line.format(scene.prompt) for line, scene in zip(lines, scenes, strict=True))


def _travels(hero: Scene, count: int) -> list[Scene]:
    """The hero on one ground after the other, in the order of the colours."""
    grounds = [color for color in COLORS if color != hero.color]
    begin = grounds.index(hero.ground)
    return [
        Scene(hero.color, hero.shape, grounds[(begin + number) % len(grounds)])
        for number in range(count)
    ]


def _friend(hero: Scene, ground: str, random: Random) -> Scene:
    colors = [color for color in COLORS if color not in (hero.color, ground)]
    shapes = [shape for shape in SHAPES if shape != hero.shape]
    return Scene(random.choice(colors), random.choice(shapes), ground)


def _topic(random: Random) -> tuple[Scene, str, bool]:
    """Who the story is about, in which words, and whether these name a shape."""
    color, ground = random.sample(list(COLORS), k=2)
    hero = Scene(color, random.choice(SHAPES), ground)
    chance = random.random()
    if chance < 0.12:
        return hero, random.choice(THINGS), False
    if chance < 0.3:
        return hero, hero.prompt, True
    short = hero.prompt.split(" on ")[0]
    bare = short.split(" ", 1)[1]
    more = random.choice(("", "", "", " that travels", " who is alone", " and its friends"))
    return hero, random.choice((short, short, short + more, f"the {bare}", bare, f"{bare}s")), True


def _request(random: Random, topic: str, count: int) -> tuple[str, bool]:
    """The words of the request, and whether they say how many scenes."""
    form = random.choice(REQUESTS)
    counted = form.count("{}") == 2
    number = random.choice((str(count), NUMBERS[count - LEAST_SCENES]))
    if counted:
        numbered_first = form.find("about {}") > form.find("{}")
        parts = (number, topic) if numbered_first else (topic, number)
        text = form.format(*parts)
    else:
        text = form.format(topic)
    before = _chatter(random) + "\n\n" if random.random() < 0.2 else ""
    after = " " + _chatter(random) if random.random() < 0.35 else ""
    return before + text + after, counted


def _picture(random: Random) -> tuple[str, str]:
    """A sentence of a story, and the picture in it."""
    color, ground = random.sample(list(COLORS), k=2)
    scene = Scene(color, random.choice(SHAPES), ground)
    line = random.choice((*OPENINGS, *MIDDLES, *MEETINGS, *ENDINGS)).format(scene.prompt)
    return random.choice(PICTURES).format(line), scene.prompt


def _chatter(random: Random) -> str:
    """Sentences of instructions, or what sounds like them."""
    sentences, words = [], CHATTER.split()
    for _ in range(random.randint(1, 3)):
        begin, length = random.randrange(len(words) - 4), random.randint(4, 14)
        sentences.append(" ".join(words[begin : begin + length]).capitalize() + ".")
    return " ".join(sentences)
