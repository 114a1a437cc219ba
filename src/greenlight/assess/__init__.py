"""Asking a model and recording what it answers."""
