-- What the server says of some of its settings: values, bounds, words, and where a value comes from.
-- Parameters: names. Returns (name, setting, unit, vartype, min_val, max_val, enumvals, context, source, sourcefile,
-- pending_restart) of those that it knows; sourcefile is null without the right to see it. Tables written: none.
select name, setting, unit, vartype, min_val, max_val, enumvals, context, source, sourcefile, pending_restart
  from pg_settings
 where name = any(%(names)s)
 order by name
