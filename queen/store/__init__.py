"""The store: carries one batch to PostgreSQL in one round trip and brings the rows back. It decides nothing."""
