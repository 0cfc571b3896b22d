-- One role, and what is set for it.
-- Parameters: role. Returns (bootstrap: it is the superuser that initdb made, may_alter: this session may change it,
-- scope: role, or database for what is set in this database alone, setting: name=value); scope and setting are null for
-- a role without settings. Tables written: none.
select r.oid = 10 as bootstrap,
       r.rolname = current_user or (select rolsuper from pg_roles where rolname = current_user)
           or (select rolcreaterole from pg_roles where rolname = current_user) and not r.rolsuper as may_alter,
       case when s.setdatabase = 0 then 'role' when s.setdatabase is not null then 'database' end as scope,
       unnest(coalesce(s.setconfig, array[null::text])) as setting
  from pg_roles r
  left join pg_db_role_setting s on s.setrole = r.oid
       and s.setdatabase in (0, (select oid from pg_database where datname = current_database()))
 where r.rolname = %(role)s
