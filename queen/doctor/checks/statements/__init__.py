"""Statements, capacity, and the host."""
