"""The engine: how work flows under load. It knows the Store protocol, not PostgreSQL, and no HTTP."""
