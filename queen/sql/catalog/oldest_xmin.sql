-- How far back the oldest snapshot that holds up vacuum in this database reaches; our own does not count.
-- Returns one row: oldest_xmin_age in transactions, 0 when nothing holds it up. Tables written: none.
select greatest(
           (select max(age(backend_xmin)) from pg_stat_activity
             where pid <> pg_backend_pid() and (datname = current_database() or datname is null)),
           (select max(greatest(age(xmin), age(catalog_xmin))) from pg_replication_slots),
           (select max(age(transaction)) from pg_prepared_xacts where database = current_database()),
           0) as oldest_xmin_age
