"""What is looked at beside SQL: wait events over time, Queen's servers, poolers, the host. Each gives a plain value."""
