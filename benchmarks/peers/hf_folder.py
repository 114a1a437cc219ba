"""Write a GGUF file's weights, dequantised, as a Hugging Face folder.

python hf_folder.py IN.gguf OUT_FOLDER {float32,bfloat16}
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig


def main() -> None:
    source, target, dtype = Path(sys.argv[1]).resolve(), sys.argv[2], sys.argv[3]
    where = {"gguf_file": source.name}
    model = AutoModelForCausalLM.from_pretrained(
        source.parent, dtype=torch.float32, quantization_config=GgufConfig(dequantize=True), **where
    )
    AutoTokenizer.from_pretrained(source.parent, **where).save_pretrained(target)
    model.to(getattr(torch, dtype)).save_pretrained(target)


if __name__ == "__main__":
    main()
