"""Queen: a message queue on PostgreSQL. Importing the package does no work."""

__version__ = "0.1.0"
