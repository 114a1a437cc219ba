"""Write a GGUF file with its linears in another type.

python llama_cpp_quantize.py IN.gguf OUT.gguf {q4_0,q4_1,q8_0,q4_k_s,q6_k}
"""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

import llama_cpp


def main() -> None:
    source, target, kind = sys.argv[1:]
    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype = getattr(llama_cpp, f"LLAMA_FTYPE_MOSTLY_{kind.upper()}")
    params.allow_requantize = True
    unfinished = Path(f"{target}.part")
    if code := llama_cpp.llama_model_quantize(source.encode(), str(unfinished).encode(), ctypes.byref(params)):
        sys.exit(code)
    unfinished.rename(target)


if __name__ == "__main__":
    main()
