"""Timed commands: what Queen costs on one machine. Not part of the installed package."""
