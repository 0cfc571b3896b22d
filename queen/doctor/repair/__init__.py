"""Repair as a separate act: plan, show, remember the way back, change one thing at a time, look again; and undo."""
