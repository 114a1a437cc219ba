"""The other tools, doing the same work on the same files; nothing in the package needs them."""
