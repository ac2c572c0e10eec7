"""The argument and the flags."""

import dataclasses

from experiments.harness import cli, common_flags

# Keys of `measure.INSTRUMENTS`, and `measure.FEW`: help does not import JAX.
INSTRUMENTS = "gradients", "inputs", "gates", "lyapunov", "lags"
FEW = 4


@dataclasses.dataclass(frozen=True)
class Config:
    """The flags."""

    run: str = cli.argument("Folder of a complete run.", folder=True)
    instruments: list[str] = cli.flag(
        ["gradients", "gates", "lyapunov"],
        f"Instruments: {', '.join(INSTRUMENTS)}.",
    )
    networks: str = cli.flag(
        "",
        'Names of the networks, separated by semicolons, such as "lstm;gru"; by '
        "default all that have a recurrent layer.",
    )
    step: int = cli.flag(
        0,
        "Training step of the parameters, if the run kept several; 0 for the last.",
        lower_bound=0,
        upper_bound=common_flags.MOST_STEPS,
    )
    examples: int = cli.flag(
        64,
        f"Held-out sequences to measure on; exponents and lags take the first {FEW}.",
        lower_bound=1,
        upper_bound=1_000_000,
    )
