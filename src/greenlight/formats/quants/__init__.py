"""Which numbers do stored bytes stand for, and which bytes stand for given numbers?

`dequantize` gives exactly the float32 values that each format defines; `quantise` writes them. Formats by file:
`plain` (a value alone), `legacy` (32 values and a scale), `k` (256 values with scales of scales), `codebook` (nibbles
that name entries of a table, MXFP4 among them).
"""

from greenlight.formats.quants.codebook import mxfp4_from_blocks, mxfp4_to_blocks
from greenlight.formats.quants.float8 import from_e4m3
from greenlight.formats.quants.reading import dequantize, refuse_codes
from greenlight.formats.quants.writing import QUANTISERS, quantise

__all__ = ["QUANTISERS", "dequantize", "from_e4m3", "mxfp4_from_blocks", "mxfp4_to_blocks", "quantise", "refuse_codes"]
