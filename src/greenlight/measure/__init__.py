"""Graders, metrics and statistics: pure functions of stored text and numbers."""
