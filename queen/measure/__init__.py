"""Statistics that the load tools share. Knows nothing of queues, servers and databases."""
