"""Build the API reference from the docstrings: pages that open offline, with search.

python .ci/docs/build.py [FOLDER]
"""

import importlib
import pathlib
import sys
import types
import warnings

import pdoc
import pdoc.render

from nets import signatures

HERE = pathlib.Path(__file__).resolve().parent
PAGES = HERE.parents[1] / "build/docs"
MODULES = (
    *("nets", "nets.blocks", "nets.linen", "nets.models", "nets.nnx"),
    *("train", "train.data"),
)
# Modules of one function each, which the page of their package shows; plots are not
# among the names of nets.flow, as that does not import Matplotlib.
PARTS = r"!nets\.\w+\.\w+", "!train.fit", "nets.flow.plot", r"!nets\.flow\.plot\.\w+"


def build(folder: pathlib.Path) -> None:
    """Write the pages; a docstring that cannot be read is an error."""
    warnings.simplefilter("error")
    # Types of other libraries that only their type checkers resolve.
    warnings.filterwarnings("ignore", message="Error parsing type annotation")
    for name in (*MODULES, "nets.flow.plot"):
        simplify(importlib.import_module(name))
    pdoc.render.configure(docformat="google", template_directory=HERE)
    pdoc.pdoc(*MODULES, *PARTS, output_directory=folder)


def simplify(module: types.ModuleType) -> None:
    """Show signatures as written, and records without the texts of namedtuple."""
    if hasattr(module, "__all__"):
        signatures.as_written(vars(module))
    for name in getattr(module, "__all__", ()):
        value = getattr(module, name)
        signature = getattr(value, "__signature__", None)
        if isinstance(signature, signatures.SourceSignature):
            value.__signature__ = signature.written()
        if isinstance(value, types.ModuleType):
            simplify(value)
        record = isinstance(value, type)  # and no instance of one
        for field in getattr(value, "_fields", ()) if record else ():
            getattr(value, field).__doc__ = ""


if __name__ == "__main__":
    target = pathlib.Path(sys.argv[1]) if sys.argv[1:] else PAGES
    build(target)
    print(f"Open {target / 'index.html'}")
