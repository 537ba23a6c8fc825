"""What is asked of the graph and what it answers; without what measures it, so that who only asks loads no compiler."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Question(NamedTuple):
    """Which node, and as of when (epoch ms)."""

    kind: str
    id: str
    as_of_ms: int


class Answers(NamedTuple):
    """`values` float64[n, k], NaN for missing; `capped` u1[n, k] marks features for which there may be more than was seen."""

    values: NDArray[np.float64]
    capped: NDArray[np.uint8]
