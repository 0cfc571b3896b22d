-- Whether an extension, and so its module, is installed beside the server.
-- Parameters: name. Returns one row: offered. Tables written: none.
select exists (select from pg_available_extensions where name = %(name)s) as offered
