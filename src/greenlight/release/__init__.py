"""What goes out: the page that explains a decision, and the check that recomputes it. Runs no model."""
