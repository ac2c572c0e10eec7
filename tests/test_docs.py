"""The API reference: complete, and without anything from the network."""

import importlib.util
import os
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parent.parent
PAGES = (
    *("index", "nets", "nets/blocks", "nets/cells", "nets/convolutional"),
    *(
        "nets/flow",
        "nets/flow/plot",
        "nets/initializers",
        "nets/linen",
        "nets/models",
        "nets/nnx",
    ),
    *("nets/recurrent", "train", "train/data"),
)


def test_the_readme_names_the_folder_of_the_pages():
    spec = importlib.util.spec_from_file_location("build", ROOT / ".ci/docs/build.py")
    assert spec and spec.loader
    build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    page = (build.PAGES / "index.html").relative_to(ROOT).as_posix()
    texts = [(ROOT / name).read_text() for name in ("README.md", "Makefile")]
    assert all(f": {page}" in text for text in texts)


@pytest.mark.slow
def test_the_reference_is_built_and_opens_offline(tmp_path):
    done = subprocess.run(
        [sys.executable, ".ci/docs/build.py", str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    texts = {name: (tmp_path / f"{name}.html").read_text() for name in PAGES}
    for name, text in texts.items():
        loaded = re.findall(r"<(?:script|link|img|iframe)\b[^>]*https?://", text)
        styled = re.findall(r"@import|url\([\"']?https?:", text)
        assert not loaded and not styled, name
    flow = re.sub(r"<[^>]+>", "", texts["nets/flow"])
    assert "cell: Cell | RecurrentLayer," in flow and "Arguments:" in flow
    assert "Alias for field" not in flow and " at 0x" not in flow
    assert "state_gradients" in (tmp_path / "search.js").read_text()
