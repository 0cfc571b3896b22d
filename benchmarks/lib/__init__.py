"""The parts of the timed commands: load generator, meters, arithmetic, reports."""
