"""The commands. A command file parses, resolves settings, calls one function and prints."""
