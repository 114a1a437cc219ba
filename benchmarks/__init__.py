"""Speed, memory and size beside the tools a user would pick instead, and two studies by simulation.

`make bench` runs run.py: the parts that parts.py names, each in the file of its name, into results.json and RESULTS.md.

- What parts share: setting.py and text.py (what is run), ours.py, processes.py, peers/ (who runs it), at_length.py and
  harness.py (common courses), figures.py and threads.py (what a figure is worth), machine.py and roofline.py (where).
- What becomes of figures: runs.py, record.py, report.py, page.py; explained.md and apart.md are written by hand.
- Run by themselves: kernels.py, experts.py, weight_types.py; simulate.py and early_stopping.py are about verdicts.
"""
