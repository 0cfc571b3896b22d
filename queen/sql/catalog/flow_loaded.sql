-- When this session last took what the files say.
-- Returns one row: loaded_at. Tables written: none.
select pg_conf_load_time() as loaded_at
