"""Does what was measured meet what was fixed beforehand? Policy, plan, lock, criteria, decision. Runs no model."""
