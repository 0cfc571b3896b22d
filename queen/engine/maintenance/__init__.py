"""Background loops of the engine: one file each, one shape: start, stop, tick."""
