-- Makes the server read its files again.
-- Returns one row: sent. Tables written: none.
select pg_reload_conf() as sent
