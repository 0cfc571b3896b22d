"""The control plane on PostgreSQL, one subject a file. Ordinary rows, no hurry; `admin.Admin` holds them together."""
