"""The private PostgreSQL of an installation without a database setting: found, made, started, shared and stopped.

`cluster.Cluster` is the face. Nothing here knows Queen's tables; a cluster is a durable, empty PostgreSQL with a
database `queen` in it, reachable by a Unix socket for the user who runs it, and for nobody else.
"""
