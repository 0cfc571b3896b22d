"""`queen bench`: options to a run, its view while it goes on, its files, its exit code. Measures nothing itself."""
