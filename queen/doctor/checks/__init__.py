"""The checks, one a file, in the folder of their group."""
