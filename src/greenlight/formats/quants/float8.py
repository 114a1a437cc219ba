"""Which numbers are the 8-bit floats of weights? E4M3: a sign, four bits of exponent (bias 7), three of fraction.

Micikevicius et al. 2022 (arXiv:2209.05433, table 1): no infinities; all exponent and fraction bits set is no number.
"""

from __future__ import annotations

import numpy as np

from greenlight.formats.quants.bits import Bytes, Floats


def _values() -> Floats:
    """What each byte stands for, (256,)."""
    code = np.arange(256)
    exponent, fraction = (code >> 3) & 15, (code & 7) / 8
    size = np.where(exponent == 0, fraction * 2.0**-6, (1 + fraction) * 2.0 ** (exponent - 7.0))
    size[(code & 127) == 127] = np.nan
    return np.where(code < 128, size, -size).astype(np.float32)


_VALUES = _values()


def from_e4m3(data: Bytes) -> Floats:
    """The number that each byte stands for."""
    return _VALUES[data]
