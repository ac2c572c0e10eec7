"""Complete runs, opened from their folders.

run = open_run("results/gradient_flow/2026-11-27_10-00-00")
network, params = run.model("gru", seed=0)
part = network.recurrent(params, 64)  # on 64 held-out examples
loss, gradients = flow.state_gradients(part.layer, part.params, part.xs, part.loss)
"""

import functools
import json
import pathlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.harness import checkpoints, shards
from experiments.harness.fingerprints import restored
from experiments.harness.folders import ResultsError
from experiments.harness.networks import Network
from experiments.harness.rows import read_rows
from experiments.harness.runs import FORMAT


def open_run(folder: str | pathlib.Path) -> "SavedRun":
    """Open the folder of a complete run.

    Args:
        folder: Folder of the run.

    Returns:
        A `SavedRun`.

    Raises:
        ResultsError: There is no such folder, the run is not complete, a file is
            missing or damaged, or the folder is that of another version.

    Example:
        >>> import tempfile
        >>> from experiments.harness.runs import new_run
        >>> folder = pathlib.Path(tempfile.mkdtemp()) / "results"
        >>> with new_run(folder, {"config": {"seeds": [5]}}) as results:
        ...     results.log(kind="accuracy", test_accuracy=0.5)
        ...     results.keep("gru", 100, [5], {"w": jnp.ones((1, 3))})
        >>> run = open_run(folder)
        >>> run.config["seeds"], run.metrics[0]["test_accuracy"], run.names
        ([5], 0.5, ['gru'])
        >>> run.params("gru", seed=5)["w"].shape
        (3,)
    """
    path = pathlib.Path(folder)
    if path.name.endswith(".unfinished") or (
        not path.exists() and path.with_name(path.name + ".unfinished").is_dir()
    ):
        raise ResultsError(
            f"run {path} is not complete: it is still running, or was stopped before "
            "its end"
        )
    if not path.is_dir():
        raise ResultsError(f"expected the folder of a run; there is no folder {path}")
    metadata = _read_metadata(path)
    try:
        rows = read_rows(path)
    except (ValueError, OSError, RecursionError) as error:
        raise ResultsError(
            f"run {path} is damaged: metrics.jsonl cannot be read ({error})"
        ) from None
    if not (path / "metrics.jsonl").is_file():
        raise ResultsError(f"run {path} is damaged: metrics.jsonl is missing")
    return SavedRun(path, metadata, rows, checkpoints.read_index(path))


def _read_metadata(path: pathlib.Path) -> dict[str, Any]:
    """The content of config.json, of this format."""
    file = path / "config.json"
    if not file.is_file():
        raise ResultsError(
            f"{path} is no run, or a damaged one: config.json is missing"
        )
    try:
        metadata = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(metadata, dict):
            raise ValueError("it is no object")
    except (ValueError, OSError, RecursionError) as error:
        raise ResultsError(
            f"run {path} is damaged: config.json cannot be read ({error})"
        ) from None
    if metadata.get("format") != FORMAT:
        versions = metadata.get("versions")
        version = versions.get("backflow") if isinstance(versions, dict) else None
        raise ResultsError(
            f"run {path} has format {metadata.get('format', 'none')}, written by "
            f"backflow {version or 'of an unknown version'}; this version opens format "
            f"{FORMAT}: run the experiment again, or open it with that version"
        )
    if not isinstance(metadata.get("config"), dict):
        raise ResultsError(f"run {path} is damaged: config.json has no flags")
    data = metadata.get("data", {"path": "", "sha256": ""})
    if not isinstance(data, dict) or not {"path", "sha256"} <= data.keys():
        raise ResultsError(
            f"run {path} is damaged: config.json has no path and SHA-256 of its data"
        )
    return metadata


class _Entry(NamedTuple):
    """Name of the training of a network, and its members there."""

    name: str
    members: list[int]
    seeds: list[int]
    steps: list[int]


class SavedRun:
    """A complete run, made by `open_run`.

    Attributes:
        folder: Folder of the run.
        metadata: Content of config.json.
        metrics: Rows of metrics.jsonl.
    """

    def __init__(
        self,
        folder: pathlib.Path,
        metadata: dict[str, Any],
        metrics: list[dict[str, Any]],
        index: dict[str, checkpoints.Kept],
    ):
        self.folder, self.metadata, self.metrics = folder, metadata, metrics
        self._trained = index

    @property
    def config(self) -> dict[str, Any]:
        """Values of the flags, by name."""
        return self.metadata["config"]

    @property
    def experiment(self) -> str:
        """Name of the experiment."""
        return str(self.metadata.get("experiment", ""))

    @property
    def names(self) -> list[str]:
        """Names of the networks whose parameters were kept, in order of training."""
        return list(self._index)

    def seeds(self, name: str) -> list[int]:
        """Seeds from which a network was trained."""
        return self._entry(name).seeds

    def steps(self, name: str) -> list[int]:
        """Training steps at which a network's parameters were kept."""
        return self._entry(name).steps

    def params(
        self, name: str, seed: int | None = None, step: int | None = None
    ) -> Any:
        """The parameters of a network.

        Args:
            name: One of `names`.
            seed: One of `seeds(name)`; by default all, in this order.
            step: One of `steps(name)`; by default the last.

        Returns:
            A tree of arrays, [seeds, ...] for all seeds. In a run of an experiment of
            one's own, whose networks cannot be rebuilt, NamedTuples are dicts and
            tuples are lists.

        Raises:
            ResultsError: There is no such network, seed or step; a file of the
                checkpoint is missing or damaged; or the user's own data, by which the
                network is rebuilt, have changed.
        """
        network = self.networks.get(name) if self._rebuilds else None
        return self._params(name, seed, step, network and network.shapes)

    def model(
        self, name: str, seed: int, step: int | None = None
    ) -> tuple[Network, Any]:
        """A network and its parameters.

        Args:
            name: As in `params`.
            seed: As in `params`.
            step: As in `params`.

        Returns:
            The network, with the held-out data of the run, and the parameters.

        Raises:
            ResultsError: As in `params`; or the experiment cannot rebuild its networks.
        """
        self._entry(name)
        if name not in self.networks:
            raise ResultsError(
                f"experiment {self.experiment!r} cannot rebuild the network {name!r}; "
                "run.params has its parameters"
            )
        network = self.networks[name]
        return network, self._params(name, seed, step, network.shapes)

    @functools.cached_property
    def networks(self) -> dict[str, Network]:
        """The networks of the run, rebuilt from its flags, by name."""
        if not self._rebuilds:
            return {}
        config = self._flags()
        if data := self.metadata.get("data"):
            config = restored(config, data, self.folder)
        rebuilt = self._module.reopen(config)
        if not self._divided:
            return rebuilt
        return {name: rebuilt[entry.name] for name, entry in self._index.items()}

    @functools.cached_property
    def _module(self) -> Any:
        """The module of the experiment; None if it is not one of this project."""
        return shards.steps_of(self.experiment)

    @property
    def _rebuilds(self) -> bool:
        """Whether the experiment can rebuild its networks."""
        return hasattr(self._module, "reopen")

    @property
    def _divided(self) -> bool:
        """Whether trainings have members of several settings."""
        return self._rebuilds and hasattr(self._module, "members")

    def _flags(self) -> Any:
        """The flags of the run, as a `Config` of the experiment."""
        try:
            return self._module.Config(**self.config)
        except TypeError as error:
            raise ResultsError(
                f"run {self.folder} has other flags than {self.experiment} in this "
                f"version: {error}"
            ) from None

    @functools.cached_property
    def _index(self) -> dict[str, _Entry]:
        """The networks by name: those of a training with several settings apart."""
        members = self._module.members(self._flags()) if self._divided else {}
        shard = shards.parse(self.metadata.get("shard", ""))
        index = {}
        for name, kept in self._trained.items():
            groups = {name: list(range(len(kept.seeds)))}
            if name in members:
                groups = shards.by_setting(name, shards.select(members[name], shard))
            for of_setting, places in groups.items():
                seeds = [kept.seeds[place] for place in places]
                index[of_setting] = _Entry(name, places, seeds, sorted(kept.steps))
        return index

    def _params(self, name: str, seed: int | None, step: int | None, like: Any) -> Any:
        """Parameters of one seed or of all, in the structure of `like`."""
        known = self._entry(name)
        step = max(known.steps) if step is None else step
        for what, value, there in (
            ("step", step, known.steps),
            ("seed", seed, known.seeds),
        ):
            if value is not None and value not in there:
                raise ResultsError(
                    f"run {self.folder} has no parameters of {name!r} at {what} "
                    f"{value}; expected one of {', '.join(map(str, there))}"
                )
        stacked = checkpoints.load(self.folder, known.name, step, like)
        places = np.array(known.members)
        index = places if seed is None else places[known.seeds.index(seed)]
        return jax.tree.map(lambda leaf: jnp.asarray(leaf[index]), stacked)

    def _entry(self, name: str) -> _Entry:
        """The place of a network in the checkpoints."""
        if name in self._index:
            return self._index[name]
        what = (
            f"expected one of {', '.join(map(repr, self.names))}"
            if self.names
            else "it has kept none, as it trained no network"
        )
        raise ResultsError(f"run {self.folder} has no network {name!r}; {what}")
