-- Whether the server's log can be read from here.
-- Returns one row: role, collected (the server writes files of its own), may_list, may_read (rights of this role),
-- language (of its messages). Tables written: none.
select current_user as role, current_setting('logging_collector')::boolean as collected,
       has_function_privilege('pg_current_logfile()', 'execute')
           and has_function_privilege('pg_ls_logdir()', 'execute') as may_list,
       has_function_privilege('pg_read_binary_file(text, bigint, bigint)', 'execute') as may_read,
       current_setting('lc_messages') as language
