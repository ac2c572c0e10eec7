"""What is said of who knows what, and when: claims, and findings."""

import numpy as np
from jaxtyping import Float

from experiments.harness.claims import Claim, judge
from experiments.harness.intervals import interval
from experiments.information.measure import (
    BACKWARD,
    BOTH,
    FORWARD,
    TRAINED,
    UNTRAINED,
    WAYS,
    Known,
)

EVEN = 0.1  # the spread up to which a curve passes for even: chosen beforehand


def spread(curve: Float[np.ndarray, "*seeds time"]) -> Float[np.ndarray, " *seeds"]:
    """How uneven a curve is: (max - min) / max, 0 if it is flat.

    Example:
        >>> spread(np.array([[1.0, 2.0, 1.5], [3.0, 3.0, 3.0]])).tolist()
        [0.5, 0.0]
    """
    most = curve.max(axis=-1)
    return (most - curve.min(axis=-1)) / np.where(most > 0, most, 1)


def rise(curve: Float[np.ndarray, "*seeds time"]) -> Float[np.ndarray, " *seeds"]:
    """By how much a curve ends higher than it begins.

    Example:
        >>> rise(np.array([[1.0, 5.0, 3.0]])).tolist()
        [2.0]
    """
    return curve[..., -1] - curve[..., 0]


def last(curve: Float[np.ndarray, "*seeds time"]) -> Float[np.ndarray, " *seeds"]:
    """By how much a curve ends higher than it ever was before.

    Example:
        >>> last(np.array([[1.0, 5.0, 3.0], [1.0, 2.0, 3.0]])).tolist()
        [-2.0, 1.0]
    """
    return curve[..., -1] - curve[..., :-1].max(axis=-1)


def evaluate_claims(found: dict[str, Known]) -> list[Claim]:
    """The textbook's claims."""
    known = found[TRAINED]
    return [
        later(known, FORWARD),
        later(known, BACKWARD),
        even(known),
        more_even(found),
    ]


def of(curves: Float[np.ndarray, "seeds ways time"], way: str) -> np.ndarray:
    """The curves of one way of reading, [seeds, time]."""
    return curves[:, WAYS.index(way)]


def later(known: Known, way: str) -> Claim:
    """Whether a state knows more of label and image, the more it has read."""

    def as_read(curves):
        curve = of(curves, way)
        return curve if way == FORWARD else curve[:, ::-1]

    curves = as_read(known.bits), as_read(100 * known.image)
    found = judge([part(curve) for curve in curves for part in (rise, last)])
    bits, image = (
        tuple(gain.text(form) for gain in found.intervals[i : i + 2])
        for i, form in ((0, "{:+.2f}"), (2, "{:+.0f}"))
    )
    said = "the later" if way == FORWARD else "the earlier in the digit"
    return found.claim(
        f"Read {way}, a state knows more {said} it stands, and most when it has read "
        "all",
        f"From the first step read to the last {bits[0]} bits of the label and "
        f"{image[0]} % of the image's variance; from the best step before the last "
        f"{bits[1]} bits and {image[1]} %.",
    )


def even(known: Known) -> Claim:
    """Whether both states together know the same at every step, within `EVEN`."""
    curves = {"label": known.bits, "image": known.image}
    found = judge([EVEN - spread(of(curve, BOTH)) for curve in curves.values()])
    numbers = (f"{name} {spreads(curve)}" for name, curve in curves.items())
    return found.claim(
        f"Both states together know the same at every step, to {100 * EVEN:.0f} %",
        f"(max - min) / max over the steps, in %: {'; '.join(numbers)}.",
    )


def more_even(found: dict[str, Known]) -> Claim:
    """Whether the loss hangs more evenly on the inputs by both directions than by one.

    Before training and after. Of gradients the norms count, not their logarithms.
    """
    norms = {when: np.exp(found[when].by_input) for when in (UNTRAINED, TRAINED)}
    gains = [
        spread(of(one, way)) - spread(of(one, BOTH))
        for one in norms.values()
        for way in (FORWARD, BACKWARD)
    ]
    numbers = (f"{when} {spreads(one)}" for when, one in norms.items())
    return judge(gains).claim(
        "Read both ways, the loss hangs more evenly on the inputs than read one way",
        "Norm of dL/dx_t, (max - min) / max over the steps, in %: "
        f"{'; '.join(numbers)}.",
    )


def spreads(curves: Float[np.ndarray, "seeds ways time"]) -> str:
    """The spread of every way of reading, in %.

    Example:
        >>> spreads(np.ones((1, 3, 2)) * np.array([1.0, 2.0])[None, None])
        'both 50, forward 50, backward 50'
    """
    return ", ".join(
        f"{way} {interval(100 * spread(of(curves, way))).text('{:.0f}')}"
        for way in (BOTH, FORWARD, BACKWARD)
    )


def findings(found: dict[str, Known]) -> list[str]:
    """What training added, what is forgotten, where both together know least."""
    known = found[TRAINED]
    return [learned(found), forgotten(known), least(known)]


def learned(found: dict[str, Known]) -> str:
    """What the last states read know after training, less what they knew before."""
    old, new = found[UNTRAINED], found[TRAINED]
    label = interval(at_ends(new.bits) - at_ends(old.bits))
    image = interval(100 * (at_ends(new.image) - at_ends(old.image)))
    return (
        "Training changed what a state knows that has read all by "
        f"{label.text('{:+.2f}')} bits of the label, and by {image.text('{:+.0f}')} % "
        "of the image's variance."
    )


def forgotten(known: Known) -> str:
    """By how much a trained state knows less of the image at last than at its best."""
    best = of(known.image, FORWARD).max(axis=1), of(known.image, BACKWARD).max(axis=1)
    lost = interval(100 * (sum(best) / 2 - at_ends(known.image)))
    return (
        "Trained, a state that has read all knows "
        f"{lost.text('{:.0f}')} % of the image's variance less than at its best step."
    )


def at_ends(curves: Float[np.ndarray, "seeds ways time"]) -> np.ndarray:
    """What each direction knows after its last step, the mean of the two, [seeds]."""
    return (of(curves, FORWARD)[:, -1] + of(curves, BACKWARD)[:, 0]) / 2


def least(known: Known) -> str:
    """How much both together know of the label at the poorest and the best step."""
    both = of(known.bits, BOTH)
    low, high = interval(both.min(axis=1)), interval(both.max(axis=1))
    return (
        f"Both states together know {low.text()} bits of the label at the poorest "
        f"step, {high.text()} at the best, of {np.log2(10):.2f} there are."
    )
