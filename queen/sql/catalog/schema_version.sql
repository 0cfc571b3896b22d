-- The version of Queen's tables, by its schema's name. Fails where there are none.
-- Returns one row: schema_version. Tables written: none.
select coalesce(max(version), 0) as schema_version from {schema}.schema_migrations
