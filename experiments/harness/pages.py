"""Pages of HTML, rendered by Jinja2 from the templates in this package.

A page is one file with its figures inside: it can be sent by mail, read on a phone,
printed, and opened offline. Texts are escaped by the templates.
"""

import base64
import pathlib
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import jinja2
from markupsafe import Markup, escape

from experiments.harness import folders


class Picture(NamedTuple):
    """A figure of a page.

    Attributes:
        png: The bytes of a PNG file.
        caption: Text below the figure.
        alt: Text for readers who do not see the figure.
        files: Names of more files of the figure, next to the page.
    """

    png: bytes
    caption: str
    alt: str
    files: Sequence[str] = ()


def write(file: pathlib.Path, template: str, **values: Any) -> None:
    """Render a page into a file, which is whole or absent.

    Args:
        file: File to write.
        template: Name of a template.
        **values: Variables of the template.
    """
    text = _ENVIRONMENT.get_template(template).render(values)
    # Bytes of the command line that are no UTF-8 become "?".
    folders.write(file, text.encode("utf-8", "replace").decode("utf-8"))


def inline(text: str) -> Markup:
    """Text as HTML: `backticks` make code, and no line ends next to an equals sign.

    Args:
        text: Any text.

    Returns:
        HTML.

    Example:
        >>> inline("`a < b`")
        Markup('<code>a &lt; b</code>')
    """
    html = str(escape(" ".join(text.split()))).replace(" = ", "&nbsp;=&nbsp;")
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", html))


def _base64(data: bytes) -> str:
    """Bytes as text."""
    return base64.b64encode(data).decode()


_ENVIRONMENT = jinja2.Environment(
    loader=jinja2.FileSystemLoader(pathlib.Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.filters.update(inline=inline, base64=_base64)
