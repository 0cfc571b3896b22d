-- The file of ALTER SYSTEM, byte for byte, as a superuser may read it.
-- Returns one row: content. Tables written: none.
select pg_read_binary_file('postgresql.auto.conf') as content
