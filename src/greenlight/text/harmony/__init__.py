"""The format that gpt-oss speaks: messages with roles, channels and recipients (openai/harmony: docs/format.md).

Rendered without Jinja and parsed without a fixed vocabulary: special tokens are known by their spelling.
"""

from greenlight.text.harmony.markers import MARKERS
from greenlight.text.harmony.parsing import Delta, HarmonyMessage, HarmonyParser

__all__ = ["MARKERS", "Delta", "HarmonyMessage", "HarmonyParser"]
