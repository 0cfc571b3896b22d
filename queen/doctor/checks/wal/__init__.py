"""The write-ahead log, checkpoints, replication."""
