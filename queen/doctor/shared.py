"""Reads that several checks share: asked once a sample. SQL that one check alone needs stands in that check's file."""

from __future__ import annotations

from typing import Final

from queen.doctor.check import Query

# Names are always qualified: regclass would leave the schema out where search_path has it.
# Queen's tables with what autovacuum, HOT and scans have done to them; the children of `messages` are among them.
TABLES: Final = Query("""
SELECT format('%I.%I', s.schemaname, c.relname) AS name, c.relname, s.relid, s.n_live_tup, s.n_dead_tup,
       s.n_mod_since_analyze, s.n_ins_since_vacuum, s.n_tup_ins, s.n_tup_upd, s.n_tup_hot_upd, s.n_tup_del, s.seq_scan,
       s.seq_tup_read, s.idx_scan, s.last_vacuum, s.last_autovacuum, s.vacuum_count, s.autovacuum_count, c.reltuples,
       c.relpages,
       c.reloptions, c.relispartition, pg_relation_size(c.oid) AS heap_bytes,
       EXTRACT(epoch FROM clock_timestamp() - greatest(s.last_vacuum, s.last_autovacuum))::float8 AS vacuumed_s_ago
  FROM pg_stat_all_tables s JOIN pg_class c ON c.oid = s.relid
 WHERE s.schemaname = {schema_name}
 ORDER BY c.relname
""")

# What new sessions of our role begin with, in this database or in all: rows of "name=value" lists.
ROLE_SETTINGS: Final = Query("""
SELECT s.setconfig, s.setdatabase <> 0 AS in_database, s.setrole <> 0 AS of_role
  FROM pg_db_role_setting s
 WHERE s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
   AND s.setrole IN (0, (SELECT oid FROM pg_roles WHERE rolname = current_user))
""")

# Client sessions of this database that are in a transaction, the oldest first.
TRANSACTIONS: Final = Query("""
SELECT pid, usename::text AS role, application_name, client_addr::text AS client, state,
       EXTRACT(epoch FROM clock_timestamp() - xact_start)::float8 AS transaction_s,
       EXTRACT(epoch FROM clock_timestamp() - state_change)::float8 AS state_s,
       backend_xid IS NOT NULL AS has_written, left(query, 80) AS query
  FROM pg_stat_activity
 WHERE xact_start IS NOT NULL AND pid <> pg_backend_pid() AND backend_type = 'client backend'
   AND datname = current_database()
 ORDER BY xact_start
""")

# The workers of autovacuum with the tables they are at, the longest first. Names of other databases' tables are not
# known here; `task` has the words of PostgreSQL.
WORKERS: Final = Query("""
SELECT a.pid, a.datname::text AS database, a.datname = current_database() AS ours,
       CASE WHEN c.oid IS NOT NULL THEN format('%I.%I', n.nspname, c.relname) END AS name, c.relname, c.reloptions,
       v.relid::bigint AS relid, left(a.query, 100) AS task, v.phase,
       EXTRACT(epoch FROM clock_timestamp() - a.xact_start)::float8 AS running_s,
       a.wait_event_type || ':' || a.wait_event AS wait
  FROM pg_stat_activity a
  LEFT JOIN pg_stat_progress_vacuum v ON v.pid = a.pid
  LEFT JOIN pg_class c ON c.oid = v.relid AND a.datname = current_database()
  LEFT JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE a.backend_type = 'autovacuum worker'
 ORDER BY a.xact_start
""")
