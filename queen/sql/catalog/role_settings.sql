-- What is set for the role of this session, for all databases and for this one.
-- Returns (scope: role or database, setting as name=value). Tables written: none.
select case when s.setdatabase = 0 then 'role' else 'database' end as scope, unnest(s.setconfig) as setting
  from pg_db_role_setting s join pg_roles r on r.oid = s.setrole
 where r.rolname = current_user
   and s.setdatabase in (0, (select oid from pg_database where datname = current_database()))
