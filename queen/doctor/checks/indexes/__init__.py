"""Indexes: broken, missing, superfluous, bloated."""
