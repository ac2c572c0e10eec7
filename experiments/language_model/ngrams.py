"""N-gram models: the baselines that a network must beat."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

NAMES = {1: "unigram", 2: "bigram", 3: "trigram"}


class NgramResult(NamedTuple):
    """Loss of one n-gram model on held-out text.

    Attributes:
        order: n.
        nats: Mean of -ln p over held-out characters.
    """

    order: int
    nats: float

    @property
    def name(self) -> str:
        """Name of the model, such as "trigram" or "4-gram"."""
        return NAMES.get(self.order, f"{self.order}-gram")


def losses(
    train: Int[np.ndarray, " train"],
    test: Int[np.ndarray, " test"],
    symbols: int,
    most: int,
) -> Float[np.ndarray, "orders characters"]:
    """-ln p of every held-out character, by n-gram models of the text before it.

        p_n(b | a) = (count(ab) + kinds(a) p_{n-1}(b | a')) / (count(a) + kinds(a))

    Here a is the n - 1 characters before b, a' is a without its first character, and
    kinds(a) is the number of distinct characters that have followed a. This is Witten
    and Bell's smoothing. If a never occurred, p_n = p_{n-1}; p_0 is 1 / symbols.

    Args:
        train: Text that is counted, as integers below `symbols`.
        test: Text that follows `train`, at least 2 characters.
        symbols: Size of the alphabet.
        most: Largest n. The smallest is 1, which uses no context.

    Returns:
        Nats, [most, test - 1], for every character of `test` but the first. A network
        that starts at the first character does not predict it either.

    Example:
        The training text has three a and one b. Unigram: p(a) = (3 + 2/2) / (4 + 2).

        >>> p = np.exp(-losses(np.array([0, 0, 1, 0]), np.array([1, 0]), 2, most=2))
        >>> p.round(3).tolist()  # b was followed by one a: (1 + 0.667) / (1 + 1)
        [[0.667], [0.833]]

    References:
        Witten and Bell 1991, The zero-frequency problem,
        https://doi.org/10.1109/18.87000
    """
    tokens = np.concatenate([train, test]).astype(np.int64)
    count = len(test) - 1
    p, context = np.full(count, 1 / symbols), np.zeros(len(tokens), np.int64)
    nats = []
    for n in range(1, most + 1):
        # Row i belongs to character n - 1 + i; each distinct n-gram has one number.
        pairs, gram = np.unique(
            context * symbols + tokens[n - 1 :], return_inverse=True
        )
        counts = np.bincount(gram[: len(train) - n + 1], minlength=len(pairs))
        before = pairs // symbols  # the context of each n-gram
        total = np.bincount(before, counts)
        kinds = np.bincount(before, counts > 0)
        current, context_now = gram[-count:], context[-count:]
        denominator = total[context_now] + kinds[context_now]
        smoothed = counts[current] + kinds[context_now] * p
        p = np.where(denominator > 0, smoothed / np.maximum(denominator, 1), p)
        nats.append(-np.log(p))
        context = gram[:-1]
    return np.stack(nats)
