"""How far does a cell's gradient reach at the start, by its scheme of initialisation?

    python -m experiments.initialization --cells=lstm --inits=keras,torch,haiku

The same equations start as each library starts them, and run on white noise. Measured
is the spectral norm of the Jacobian of the whole state after t steps by the first one:
what is left of a gradient on its way back over t steps, at the most.
"""

from experiments.initialization.experiment import Config, run

__all__ = ["Config", "run"]
