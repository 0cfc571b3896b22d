"""Memory and the planner."""
