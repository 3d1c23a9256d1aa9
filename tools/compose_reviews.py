"""Write the bundled composed_reviews.csv: sentences of a small grammar, good or bad.

    python tools/compose_reviews.py

What a sentence says depends on the order of its words ("not", "but", "although"), so that counting
words does not do.
"""

import csv
import random
from pathlib import Path

OUT = Path(__file__).parents[1] / "src/backlit/data/bundled/composed_reviews.csv"
SENTENCES = 2000
SUBJECTS = (
    "soup bread coffee cake dinner breakfast service waiter staff room bed shower view hotel film "
    "plot acting music ending book story translation singer sound lamp chair battery screen camera "
    "keyboard phone delivery packing price guide tour museum garden beach weather"
).split()
GOOD = (
    "good great excellent wonderful delightful pleasant lovely superb brilliant charming perfect "
    "impressive reliable fresh comfortable beautiful friendly clever fair outstanding"
).split()
BAD = (
    "bad awful terrible horrible boring poor dreadful disappointing dull unpleasant useless ugly "
    "rude stale broken annoying weak dirty mediocre worthless"
).split()
VERY = ("", "very ", "really ", "quite ", "simply ", "truly ")


def compose(draw: random.Random) -> tuple[str, str]:
    """One sentence and its class."""

    def clause(says: bool) -> str:
        """ "the soup was very good", or the contrary by its negation."""
        negated = draw.random() < 0.35
        word = draw.choice(GOOD if says != negated else BAD)
        how = draw.choice(("not ", "never ", "not at all ")) if negated else draw.choice(VERY)
        return f"the {draw.choice(SUBJECTS)} was {how}{word}"

    says = draw.random() < 0.5
    shape = draw.choice(("one", "and", "but", "although", "despite"))
    if shape == "one":
        text = clause(says)
    elif shape == "and":
        text = f"{clause(says)} and {clause(says)}"
    elif shape == "but":
        text = f"{clause(not says)}, but {clause(says)}"
    elif shape == "although":
        text = f"{clause(says)}, although {clause(not says)}"
    else:
        text = f"although {clause(not says)}, {clause(says)}"
    return f"{text[0].upper()}{text[1:]}.", "good" if says else "bad"


def main() -> None:
    draw, found = random.Random(0), {}
    while len(found) < SENTENCES:
        text, label = compose(draw)
        found[text] = label
    with OUT.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("text", "label"))
        writer.writerows(found.items())


if __name__ == "__main__":
    main()
