"""`queen doctor`: what is wrong, what it costs, what to do. PostgreSQL, Queen's servers, poolers, the host."""
