"""Speed, memory and size beside the tools a user would pick instead: `python benchmarks/run.py`."""
