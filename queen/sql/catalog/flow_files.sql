-- What the configuration files say, without applying them: the last line of a name counts.
-- Returns (sourcefile, sourceline, name, setting, applied, error) in the order of reading; name is null where a file
-- cannot be parsed. Tables written: none.
select sourcefile, sourceline, name, setting, applied, error
  from pg_file_settings
 order by seqno
