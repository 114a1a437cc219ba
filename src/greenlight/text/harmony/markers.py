"""Which special tokens give a harmony text its shape? (openai/harmony: docs/format.md, "Special Tokens")."""

from __future__ import annotations

START = "<|start|>"
"""Begins a message; its header follows."""

CHANNEL = "<|channel|>"
"""Within a header: the channel follows."""

CONSTRAIN = "<|constrain|>"
"""Within a header: the type of the content follows."""

MESSAGE = "<|message|>"
"""Ends the header; the content follows."""

END = "<|end|>"
"""Ends a message of several."""

RETURN = "<|return|>"
"""Ends the last message of an answer: sampling stops."""

CALL = "<|call|>"
"""Ends a call of a tool: sampling stops."""

ENDS = (END, RETURN, CALL)
"""What ends a message."""

MARKERS = (START, CHANNEL, CONSTRAIN, MESSAGE, *ENDS)
"""All of them."""

ANALYSIS, COMMENTARY, FINAL = "analysis", "commentary", "final"
"""Channels: what the model thinks, calls of tools and words about them, and the answer."""
