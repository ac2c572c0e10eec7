"""The steps of the experiment."""

import itertools
import re
from collections.abc import Sequence

from tqdm import tqdm

from experiments.capacity import claims, figures
from experiments.capacity.claims import Line
from experiments.capacity.config import CHIPS, Config
from experiments.capacity.measure import (
    Memory,
    Setting,
    devices,
    limit,
    longest,
    measure,
    members_at_once,
    saved_bytes,
)
from experiments.harness import cli
from experiments.harness.report import publish
from experiments.harness.runs import Run


def run(config: Config, results: Run) -> None:
    """Compile every training; log, draw and print the memory of each chip."""
    attached = devices(config)
    meshes = chosen_meshes(config, len(attached))
    check(config, meshes)
    limits = {mesh: limit(attached[0], mesh[0] * mesh[1]) for mesh in meshes}
    lines = []
    kinds = list(
        itertools.product(config.cells, meshes, config.batch_size, config.features)
    )
    for cell, mesh, batch_size, features in tqdm(kinds, unit="line", disable=None):
        settings = [
            Setting(cell, *mesh, batch_size, features, time)
            for time in sorted(config.time)
        ]
        memories = [
            measure(setting, config, attached, limits[mesh]) for setting in settings
        ]
        for memory in memories:
            log("memory", memory, results)
        most = longest(memories, config, attached)
        if most is not None:
            log("longest", most, results)
        at_once = members_at_once(-(-config.members // mesh[0]), attached[0])
        lines.append(Line(memories, at_once, *saved_bytes(settings[0], config), most))
    show(lines, attached[0].device_kind, config, results)


def chosen_meshes(config: Config, count: int) -> list[tuple[int, int]]:
    """Numbers of chips over which members and examples are divided."""
    meshes = []
    for text in config.chips or CHIPS:
        match = re.fullmatch(r"([1-9]\d{0,5})x([1-9]\d{0,5})", text)
        if not match:
            raise cli.UsageError(
                f"flag --chips: expected STUDYxDATA, such as 2x1; got {text!r}"
            )
        study, data = int(match[1]), int(match[2])
        if study * data <= count:
            meshes.append((study, data))
        elif config.chips:
            raise cli.UsageError(
                f"flag --chips: {text} are {study * data} chips; there are {count}"
            )
    return meshes


def check(config: Config, meshes: Sequence[tuple[int, int]]) -> None:
    """Refuse batches that cannot be divided over the chips, or lack examples."""
    for study, data in meshes:
        for size in config.batch_size:
            if size % data:
                raise cli.UsageError(
                    f"flag --chips: {study}x{data} does not divide the {size} examples "
                    "of --batch_size"
                )
    if max(config.batch_size) > config.examples:
        raise cli.UsageError(
            f"flag --batch_size: expected at most {config.examples}, the --examples; "
            f"got {max(config.batch_size)}"
        )


def log(kind: str, memory: Memory, results: Run) -> None:
    """Log the memory of a training."""
    results.log(
        kind=kind,
        **memory.setting._asdict(),
        temporary=memory.temporary,
        arguments=memory.arguments,
        outputs=memory.outputs,
        bytes=memory.total,
        limit=memory.limit,
        fits=memory.fits,
    )


def show(lines: Sequence[Line], device: str, config: Config, results: Run) -> None:
    """Publish the results."""
    text = (
        f"{config.members} models; {config.inputs} inputs; {config.examples:,} "
        f"examples, all on each chip; Adam; float32; compiled for {device}. Where it "
        f"is not on the axis: batches of {config.batch_size[0]}, "
        f"{max(config.features)} units, T = {max(config.time):,}, chips "
        f"{lines[0].memories[0].setting.chips} (models x examples)."
    )
    publish(
        results,
        answer=claims.answer(lines, config.members, device),
        figures={"capacity.png": figures.draw(lines, device, text)},
        tables={"Memory per chip": claims.table(lines)},
        claims=claims.evaluate_claims(lines),
    )
