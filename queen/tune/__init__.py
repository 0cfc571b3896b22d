"""The tuner: a machine and a load in, settings of PostgreSQL with reasons out. Computes; changes nothing by itself."""
