"""The figure of the memory of trainings."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from experiments.capacity.claims import GIB, Line, title
from experiments.capacity.measure import Memory, Setting
from experiments.harness import plotting
from experiments.harness.plotting import Plot


def draw(lines: Sequence[Line], device: str, caption: str) -> Plot:
    """Draw memory per chip against time, units, batch size and chips.

    Args:
        lines: Trainings. What is not on an axis is that of the first, with most units
            and the longest sequences.
        device: Kind of the chips.
        caption: The setting of the run.
    """
    memories = [memory for line in lines for memory in line.memories]
    parts = {"time": "steps T of the sequences", "features": "hidden units"}
    if len({memory.setting.batch_size for memory in memories}) > 1:
        parts["batch_size"] = "examples per step of a model"
    if len({memory.setting.chips for memory in memories}) > 1:
        parts["chips"] = "chips: models x examples"
    finding = title(lines)
    figure, panels = plotting.figure(finding, columns=len(parts))
    for panel, (name, label) in zip(panels, parts.items(), strict=True):
        draw_panel(panel, name, memories, device)
        panel.set_xlabel(label)
    panels[0].set_ylabel("memory per chip, GiB")
    panels[0].set_yscale("log")
    panels[0].legend(fontsize=8)
    return plotting.captioned(
        figure,
        finding,
        caption,
        "Memory that XLA allocates per chip (arguments, outputs and temporary arrays). "
        "Dotted: the memory of a chip.",
    )


def draw_panel(axis: Axes, name: str, memories: Sequence[Memory], device: str) -> None:
    """Draw memory against one part of the setting, one line per cell."""
    reference = memories[0].setting._replace(
        time=max(memory.setting.time for memory in memories),
        features=max(memory.setting.features for memory in memories),
    )
    cells = list(dict.fromkeys(memory.setting.cell for memory in memories))
    sizes = list(dict.fromkeys(memory.setting.features for memory in memories))
    if name != "time":  # where a line per size would hide the others
        sizes = [reference.features]
    for i, cell in enumerate(cells):
        for j, size in enumerate(sizes):
            fixed = reference._replace(cell=cell, features=size)
            drawn = [m for m in memories if same_but(m.setting, fixed, name)]
            axis.plot(
                [getattr(m.setting, name) for m in drawn],
                [m.total / GIB for m in drawn],
                marker="o",
                color=plotting.COLORS[i % len(plotting.COLORS)],
                linestyle=plotting.STYLES[j % len(plotting.STYLES)],
                label=f"{cell}, {size} units",
            )
    limits = {getattr(m.setting, name): m.limit for m in memories[::-1]}
    if None not in limits.values():
        where, bytes = list(limits), np.array(list(limits.values()), float)
        axis.plot(where, bytes / GIB, "k:", label=f"memory of one chip ({device})")
    if name != "chips":
        axis.set_xscale("log", base=2)


def same_but(first: Setting, second: Setting, name: str) -> bool:
    """Whether two trainings are equal apart from one part, or from the chips."""
    parts = {"study", "data"} if name == "chips" else {name}
    return all(
        getattr(first, part) == getattr(second, part)
        for part in Setting._fields
        if part not in parts
    )
