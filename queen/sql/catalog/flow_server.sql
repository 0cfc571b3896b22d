-- What decides whether and how a server's settings may be changed.
-- Returns one row: version (such as 150018), system_identifier, in_recovery, backup (one is being taken), role,
-- database, superuser, backend_pid, cluster_name, may_reload, may_see_files, config_file and data_directory (null
-- without the right to see them). Tables written: none.
select current_setting('server_version_num')::int as version,
       (select system_identifier::text from pg_control_system()) as system_identifier,
       pg_is_in_recovery() as in_recovery,
       exists (select from pg_stat_progress_basebackup) as backup,
       current_user as role, current_database() as database,
       (select rolsuper from pg_roles where rolname = current_user) as superuser,
       pg_backend_pid() as backend_pid,
       current_setting('cluster_name') as cluster_name,
       has_function_privilege('pg_reload_conf()', 'execute') as may_reload,
       has_table_privilege('pg_file_settings', 'select')
           and has_function_privilege('pg_show_all_file_settings()', 'execute') as may_see_files,
       (select setting from pg_settings where name = 'config_file') as config_file,
       (select setting from pg_settings where name = 'data_directory') as data_directory
