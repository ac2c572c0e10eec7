"""Mean-field theory of random networks with infinitely many units."""

import math

import numpy as np
from scipy import optimize


def _normal_mean(function, variance: float) -> float:
    """Mean of f(x), x ~ N(0, variance).

    The trapezoidal rule converges faster here than Gauss-Hermite quadrature, because
    tanh has poles near the real axis.
    """
    z = np.linspace(-10, 10, 4001)
    weight = np.exp(-(z**2) / 2)
    return float(weight @ function(np.sqrt(variance) * z) / weight.sum())


def stationary_variance(gain: float) -> float:
    """Variance q of (W h)_i in the mean field.

        q = g^2 E tanh(x)^2,   x ~ N(0, q)

    Args:
        gain: Gain g.

    Returns:
        The positive root; 0 for g <= 1, where there is none.

    Example:
        >>> stationary_variance(0.9), round(stationary_variance(2.0), 4)
        (0.0, 2.1215)
    """
    if gain <= 1:
        return 0.0

    def excess(q):
        return gain**2 * _normal_mean(lambda x: np.tanh(x) ** 2, q) - q

    # Because tanh(x)^2 > x^2 - 2/3 x^4, the root exceeds (1 - 1 / g^2) / 2.
    low = (1 - 1 / gain**2) / 4
    return optimize.root_scalar(excess, bracket=(low, gain**2), xtol=1e-14).root


def mean_field(gain: float) -> float:
    """Largest Lyapunov exponent of infinitely many units.

        lambda = 1/2 ln(g^2 E (1 - tanh(x)^2)^2),   x ~ N(0, q)

    At each step |J v|^2 / |v|^2 = g^2 E tanh'(x)^2, as W v is normal and independent of
    x in the limit. Below g = 1 the exponent is ln g.

    Args:
        gain: Gain g.

    Returns:
        Exponent in nats per step.

    Example:
        >>> round(mean_field(0.5), 4), round(mean_field(2.0), 4)
        (-0.6931, 0.1547)

    References:
        Sompolinsky, Crisanti and Sommers 1988, Chaos in random neural networks,
        Physical Review Letters 61.
        Molgedey, Schuchhardt and Schuster 1992, Suppressing chaos in neural networks by
        noise, Physical Review Letters 69 (in discrete time).
    """
    q = stationary_variance(gain)
    slope = _normal_mean(lambda x: np.cosh(x) ** -4.0, q)  # mean of tanh'(x)^2
    return math.log(gain) + math.log(slope) / 2
