"""Locks and waits: who waits, for what, and for whom."""
