"""What is measured, and in which order do its rows stand? Each part is the file of its name in this folder."""

PARTS = (
    "roofline",
    "decode",
    "prefill",
    "streams",
    "cold_start",
    "memory",
    "multiple_choice",
    "install",
    "long_context",
    "kinds",
)
PARTS += ("sizes", "sizes_4k", "shared_prefix", "generation", "review", "guesses", "precision")
