"""Images in one folder per class, as in torchvision's ImageFolder.

    FOLDER/cat/1.png   FOLDER/dog/1.jpg

or, with a test part,

    FOLDER/train/cat/1.png   FOLDER/train/dog/1.jpg
    FOLDER/test/cat/2.png    FOLDER/test/dog/2.jpg

Any format that Pillow opens is read; other files are ignored. If all images are gray,
they have one channel; if at least one has colors, all have three. Transparency is
dropped. Pixels are from 0 to 1.
"""

import os
import pathlib
import warnings

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageOps

from train.data.dataset import Part
from train.data.errors import DataError
from train.data.files import expanded, opened

TRAIN, TEST = "train", "test"
GRAY, COLOR = ("gray",), ("red", "green", "blue")
GRAYS = ("1", "L", "LA", "La", "I;16", "I;16L", "I;16B", "I;16N")  # modes of Pillow
WIDE = ("I", "F")  # 32 bits per pixel, whose scale is unknown
HINT = "put the images of each class into a folder with the name of the class"

Files = list[tuple[pathlib.Path, str]]  # paths of images, and their classes


def load(
    folder: str | bytes | os.PathLike, image_size: int = 0
) -> tuple[Part, Part | None]:
    """Load the images of a folder.

    Args:
        folder: Folder of one folder per class, or of the folders `train` and `test`.
        image_size: Height and width to which images are resized, bicubically and
            without keeping the aspect ratio; 0 to keep their size, which must then be
            the same.

    Returns:
        `train, test`, with x [examples, height, width, channels] from 0 to 1; `test` is
        None without a folder `test`.

    Raises:
        DataError: A folder is unreadable or has no images; an image is unreadable; or
            images differ in size.

    Example:
        >>> import tempfile
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> for name, level in (("dark", 0), ("light", 255)):
        ...     (folder / name).mkdir()
        ...     Image.new("L", (4, 3), level).save(folder / name / "1.png")
        >>> train, test = load(folder)
        >>> train.x.shape, train.y.tolist(), test
        ((2, 3, 4, 1), ['dark', 'light'], None)
    """
    parts = find(folder)
    pictures = {
        name: [(path, _open(path)) for path, _ in files]
        for name, files in parts.items()
    }
    flat = [picture for part in pictures.values() for picture in part]
    gray = all(image.mode in GRAYS for _, image in flat)
    channels = GRAY if gray else COLOR
    first, shape = flat[0][0], None
    made = {}
    for name, part in pictures.items():
        images = []
        for path, image in part:
            pixels = _pixels(image, gray, image_size)
            shape = shape or pixels.shape
            if pixels.shape != shape:
                raise DataError(
                    f"{path}: expected {shape[1]}x{shape[0]} pixels, as in "
                    f"{first.name}; got {pixels.shape[1]}x{pixels.shape[0]}; use "
                    "image_size=N to resize all images to NxN"
                )
            images.append(pixels)
        labels = np.array([label for _, label in parts[name]])
        made[name] = Part(np.stack(images), labels, None, channels)
    return made[TRAIN], made.get(TEST)


def find(folder: str | bytes | os.PathLike) -> dict[str, Files]:
    """Find the images of a folder, without opening them.

    Args:
        folder: As in `load`.

    Returns:
        Paths and classes of the images of "train", and of "test" if there is one, in
        the order of their names.

    Raises:
        DataError: A folder is unreadable, or has no images.

    Example:
        >>> import tempfile
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> (folder / "cat").mkdir()
        >>> (folder / "cat" / "1.png").touch()
        >>> [(path.name, label) for path, label in find(folder)["train"]]
        [('1.png', 'cat')]
    """
    folder = expanded(folder)
    names = [path.name for path in _folders(folder)]
    if TRAIN not in names:
        return {TRAIN: _images(folder)}
    strange = [name for name in names if name not in (TRAIN, TEST)]
    if strange:
        raise DataError(
            f"{folder}: expected only the folders train and test, as there is a folder "
            f"train; got {strange[0]!r}; move it elsewhere"
        )
    return {name: _images(folder / name) for name in (TRAIN, TEST) if name in names}


def _folders(folder: pathlib.Path) -> list[pathlib.Path]:
    """Folders in a folder, sorted, without hidden ones."""
    try:
        paths = [p for p in folder.iterdir() if p.is_dir() and p.name[0] != "."]
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise DataError(
            f"{folder}: expected a folder of images; got "
            f"{getattr(error, 'strerror', error)}; {HINT}"
        ) from None
    return sorted(paths)


def _images(folder: pathlib.Path) -> Files:
    """Images in the folders of the classes, and in folders within these."""
    Image.init()
    endings = {e for e, format in Image.EXTENSION.items() if format in Image.OPEN}
    files = []
    classes = _folders(folder)
    if not classes:
        raise DataError(f"{folder}: expected one folder per class; got none; {HINT}")
    for path in classes:
        images = [
            file
            for file in _inside(path)
            if file.suffix.lower() in endings and file.name[0] != "."
        ]
        if not images:
            raise DataError(
                f"{path}: expected images; got none; add images, or remove the folder"
            )
        files += [(image, path.name) for image in images]
    return files


def _inside(folder: pathlib.Path) -> list[pathlib.Path]:
    """Files in a folder and in all folders within it, sorted."""

    def refuse(error: OSError):  # os.walk, as Path.rglob, would leave the folder out
        raise DataError(
            f"{error.filename}: expected a readable folder; got {error.strerror}; "
            "change its permissions, or remove it"
        )

    walk = os.walk(folder, onerror=refuse)
    return sorted(pathlib.Path(at, name) for at, _, names in walk for name in names)


def _open(path: pathlib.Path) -> Image.Image:
    """Read an image, upright."""
    try:
        with warnings.catch_warnings(), opened(path) as file:
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            warnings.simplefilter("ignore", UserWarning)  # e.g. about its metadata
            with Image.open(file) as image:
                image.load()
                upright = ImageOps.exif_transpose(image)
    except Exception as error:  # Pillow raises errors of many types
        reason = " ".join(str(getattr(error, "strerror", "") or error).split())
        reason = reason.partition(" <_io")[0]
        if "cannot identify" in reason:
            reason = "an unknown format, or an empty or damaged file"
        raise DataError(
            f"{path}: expected an image; got {reason}; replace or remove it"
        ) from None
    if upright.mode in WIDE:
        raise DataError(
            f"{path}: expected pixels of 8 or 16 bits; got mode {upright.mode!r} of "
            "Pillow, 32 bits; convert the image"
        )
    return upright


def _pixels(
    image: Image.Image, gray: bool, size: int
) -> Float[np.ndarray, "height width channels"]:
    """Pixels from 0 to 1, gray or in colors."""
    if image.mode.startswith("I;16"):  # conversions of Pillow would clip it
        wide = Image.fromarray(np.asarray(image, np.float32) / np.float32(65535))
        if size:
            wide = wide.resize((size, size), Image.Resampling.BICUBIC)
        values = np.clip(np.asarray(wide), 0, 1)[..., None]
        return values if gray else np.repeat(values, 3, axis=-1)
    image = image.convert("L" if gray else "RGB")
    if size:
        image = image.resize((size, size), Image.Resampling.BICUBIC)
    values = np.asarray(image, np.float32) / np.float32(255)
    return values[..., None] if gray else values
