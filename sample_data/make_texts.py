"""The texts of the sample data: short messages about four things, put together by lot from parts written for it."""

import numpy as np

EACH = 45
OPENINGS = (
    "Good morning,", "Just a note:", "To whom it may concern,", "Hello again,", "As I said,", "For the record:",
    "By the way,", "Quick question:", "Dear all,", "One more thing:",
)  # fmt: skip
PARTS = {
    "garden": (
        ("the tomatoes", "our old apple tree", "the rose bed", "the compost", "a row of beans", "the lawn"),
        ("needs water", "has been pruned", "was dug over", "is full of weeds", "wants more sun", "was planted out"),
        ("before the frost", "since the spring rain", "with fresh soil", "behind the shed", "along the hedge"),
    ),
    "kitchen": (
        ("the bread dough", "this soup", "the roast", "a pinch of salt", "the apple pie", "the sauce"),
        ("must rest", "tastes burnt", "was stirred", "goes into the oven", "needs butter", "is still raw"),
        ("for half an hour", "on a low flame", "with onions", "in the large pan", "until it is golden"),
    ),
    "railway": (
        ("the night train", "platform four", "the conductor", "my ticket", "the dining car", "the signal"),
        ("was late", "is closed", "has been changed", "was cancelled", "leaves early", "waits"),
        ("at the junction", "because of works on the line", "before the tunnel", "in both directions", "at noon"),
    ),
    "music": (
        ("the second violin", "our choir", "the slow movement", "the new drummer", "this chord", "the old piano"),
        ("was out of tune", "comes in too loud", "repeats the theme", "rehearses", "sounds hollow", "needs practice"),
        ("in the last bars", "before the concert", "without the score", "in a minor key", "on the small stage"),
    ),
}
ENDINGS = ("", "", " Thanks.", " Tell me what you think.", " That is all.", " See you soon.")


def make_texts(rng: np.random.Generator) -> list[dict[str, str]]:
    """Records of label, text and split; every fourth is for testing, and no text comes twice."""
    rows, seen = [], set()
    for label, (things, doings, places) in PARTS.items():
        while sum(row["label"] == label for row in rows) < EACH:
            thing, doing, place = (str(rng.choice(part)) for part in (things, doings, places))
            text = f"{rng.choice(OPENINGS)} {thing} {doing} {place}.{rng.choice(ENDINGS)}"
            if (thing, doing, place) not in seen:
                seen.add((thing, doing, place))
                rows.append({"label": label, "text": text, "split": ""})
    order = rng.permutation(len(rows))
    mixed = [rows[i] for i in order]
    for i, row in enumerate(mixed):
        row["split"] = "test" if i % 4 == 3 else "train"
    return mixed
