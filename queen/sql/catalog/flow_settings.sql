-- Settings of the server as this session sees them, and any that waits for a restart.
-- Parameters: names. Returns (name, setting, unit, vartype, min_val, max_val, enumvals, context, source, sourcefile,
-- pending_restart, boot_val). Tables written: none.
select name, setting, unit, vartype, min_val, max_val, enumvals, context, source, sourcefile, pending_restart, boot_val
  from pg_settings
 where name = any(%(names)s) or pending_restart
 order by name
