"""What counting tells of the next character: the models that a net must beat."""

import numpy as np
from jaxtyping import Float, Int


def losses(
    train: Int[np.ndarray, " train"],
    test: Int[np.ndarray, " test"],
    symbols: int,
    most: int,
) -> Float[np.ndarray, "orders characters"]:
    """-ln p of every held-out character, by n-gram models of the text before it.

        p_n(b | a) = (count(ab) + kinds(a) p_{n-1}(b | a')) / (count(a) + kinds(a))

    Here a is the n - 1 characters before b, a' is a without its first, and kinds(a) is
    how many different characters have followed a: this is Witten and Bell's smoothing.
    Where a never occurred, p_{n-1} stands alone; p_0 is 1 / symbols.

    Args:
        train: The text that is counted, as integers below `symbols`.
        test: The text that goes on where it ends, at least 2 characters.
        symbols: How many symbols there are.
        most: The largest n; the smallest is 1, which knows nothing of what came before.

    Returns:
        Nats, [most, test - 1]: of every character of `test` but the first, which a net
        that begins there is not asked for either.

    Example:
        The training text has three a and one b. Unigram: p(a) = (3 + 2/2) / (4 + 2).

        >>> p = np.exp(-losses(np.array([0, 0, 1, 0]), np.array([1, 0]), 2, most=2))
        >>> p.round(3).tolist()  # after b there has been one a: (1 + 0.667) / (1 + 1)
        [[0.667], [0.833]]

    References:
        Witten and Bell 1991, The zero-frequency problem,
        https://doi.org/10.1109/18.87000
    """
    tokens = np.concatenate([train, test]).astype(np.int64)
    told = len(test) - 1
    p, context = np.full(told, 1 / symbols), np.zeros(len(tokens), np.int64)
    found = []
    for n in range(1, most + 1):
        # Row i is of the character n - 1 + i; a gram's number stands for its text.
        pairs, gram = np.unique(
            context * symbols + tokens[n - 1 :], return_inverse=True
        )
        counts = np.bincount(gram[: len(train) - n + 1], minlength=len(pairs))
        before = pairs // symbols  # of each gram, its context
        total = np.bincount(before, counts)
        kinds = np.bincount(before, counts > 0)
        now, known = gram[-told:], context[-told:]
        seen = total[known] + kinds[known]
        p = np.where(
            seen > 0, (counts[now] + kinds[known] * p) / np.maximum(seen, 1), p
        )
        found.append(-np.log(p))
        context = gram[:-1]
    return np.stack(found)
