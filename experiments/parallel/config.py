"""The flags."""

import dataclasses

from experiments.harness import cli, common_flags

CELLS, FLOSSING, PUBLISHED = PARTS = "cells", "flossing", "published"


@dataclasses.dataclass(frozen=True)
class Config(common_flags.TrainingConfig):
    """The flags."""

    parts: list[str] = cli.flag(
        list(PARTS),
        "Parts to run: every nonlinear cell; flossing as the dial of the exponent; "
        "published facts.",
        choices=PARTS,
    )
    cells: list[str] = cli.flag(
        [
            *("elman", "ind_rnn", "antisymmetric_rnn", "cornn", "lem", "lstm", "gru"),
            *("mgu", "minimal_rnn", "rhn"),
        ],
        "Cells to compare: names in nets.CELLS, all for every nonlinear cell that "
        f"reads vectors, or {common_flags.OTHERS}.",
        values=(*common_flags.CELLS, "all"),
        group="model",
    )
    inits: list[str] = common_flags.inits(["own", "torch", "haiku"])
    gains: list[float] = cli.flag(
        [0.5, 1.0, 2.0, 4.0, 8.0],
        "Factors of the recurrent weights w_h at the start, with the first "
        "initialization. The other initializations, and cells without w_h, are "
        "measured as they are.",
        lower_bound=0.0,
        upper_bound=1e6,
        group="model",
    )
    features: int = common_flags.features(16)
    steps: int = common_flags.steps(252, "Training steps (14 are an epoch).")
    length: int = cli.flag(
        512,
        "Steps of a measured sequence: held-out digits, one after another.",
        lower_bound=2,
        upper_bound=50_000,
        group="measuring",
    )
    max_iterations: int = cli.flag(
        64,
        "Iterations after which a solver has not converged.",
        lower_bound=1,
        upper_bound=50_000,
        group="measuring",
    )
    flossed: list[str] = common_flags.cells(["elman", "gru"], "Cells to floss")
    targets: list[float] = cli.flag(
        [-1.0, -0.5, -0.25, -0.1, -0.05, 0.0, 0.05],
        "Largest exponents that flossing aims at, nats per step.",
        upper_bound=100.0,
        group="training",
    )
    flossing_weight: float = cli.flag(
        1.0,
        "Weight of the squared distance of the exponent from its target in the loss.",
        lower_bound=0.0,
        upper_bound=1e12,
        group="training",
    )
    on_nonfinite: str = cli.flag(
        "drop_member",
        "If a loss or a gradient is not finite: stop the run, skip the step, or "
        "drop_member, which trains the other members further.",
        choices=common_flags.ON_NONFINITE,
        group="training",
    )
