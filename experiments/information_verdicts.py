"""What is said of who knows what, and when: claims, and findings."""

import numpy as np
from jaxtyping import Float
from scipy import stats

from experiments.information_probes import (
    BACKWARD,
    BOTH,
    FORWARD,
    TRAINED,
    UNTRAINED,
    WAYS,
    Known,
)
from experiments.verdicts import Verdict, interval, positive, together

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


def order(curve: Float[np.ndarray, "seeds time"]) -> Float[np.ndarray, " seeds"]:
    """How well a curve keeps to rising: Spearman's rank correlation with time.

    Example:
        >>> order(np.array([[1.0, 2.0, 5.0], [5.0, 2.0, 1.0]])).tolist()
        [1.0, -1.0]
    """
    ranks = stats.rankdata(curve, axis=-1)
    steps = np.arange(curve.shape[-1]) + 1.0
    ranks, steps = ranks - steps.mean(), steps - steps.mean()
    sizes = np.sqrt((ranks**2).sum(axis=-1) * (steps**2).sum())
    return (ranks * steps[None]).sum(axis=-1) / np.where(sizes == 0, 1, sizes)


def verdicts(found: dict[str, Known]) -> list[Verdict]:
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


def later(known: Known, way: str) -> Verdict:
    """Whether a state knows more of label and image, the more it has read."""

    def as_read(curves):
        curve = of(curves, way)
        return curve if way == FORWARD else curve[:, ::-1]

    parts, numbers = [], []
    for name, form, curves in (
        ("the label, bits", "{:+.2f}", known.bits),
        ("the image, % of its variance", "{:+.0f}", 100 * known.image),
    ):
        curve = as_read(curves)
        gain, kept = interval(rise(curve)), interval(order(curve))
        parts += [positive(gain), positive(kept)]
        numbers.append(
            f"of {name}: {gain.text(form)}, rank correlation {kept.text('{:+.2f}')}"
        )
    said = "the later" if way == FORWARD else "the earlier in the digit"
    return Verdict(
        f"Read {way}, a state knows more {said} it stands",
        together(parts),
        f"From the first step read to the last, {'; '.join(numbers)}.",
    )


def even(known: Known) -> Verdict:
    """Whether both states together know the same at every step, within `EVEN`."""
    parts, numbers = [], []
    for name, curves in (("label", known.bits), ("image", known.image)):
        both = spread(of(curves, BOTH))
        parts.append(positive(interval(EVEN - both)))
        numbers.append(f"{name} {spreads(curves)}")
    return Verdict(
        f"Both states together know the same at every step, to {100 * EVEN:.0f} %",
        together(parts),
        f"(max - min) / max over the steps, in %: {'; '.join(numbers)}.",
    )


def more_even(found: dict[str, Known]) -> Verdict:
    """Whether the loss hangs more evenly on the inputs by both directions than by one.

    Before training and after. Of gradients the norms count, not their logarithms.
    """
    parts, numbers = [], []
    for when in (UNTRAINED, TRAINED):
        norms = np.exp(found[when].by_input)
        both = spread(of(norms, BOTH))
        alone = [spread(of(norms, way)) for way in (FORWARD, BACKWARD)]
        parts += [positive(interval(one - both)) for one in alone]
        numbers.append(f"{when} {spreads(norms)}")
    return Verdict(
        "Read both ways, the loss hangs more evenly on the inputs than read one way",
        together(parts),
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
