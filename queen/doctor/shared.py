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

# The write-ahead log of the whole server. A position cannot be asked on a standby.
WAL: Final = Query("""
SELECT 'wal' AS what, wal_records, wal_fpi, wal_bytes::float8 AS wal_bytes, wal_buffers_full,
       wal_bytes::float8 AS total_bytes, wal_fpi AS total_images,
       EXTRACT(epoch FROM clock_timestamp() - stats_reset)::float8 AS age_s,
       CASE WHEN NOT pg_is_in_recovery() THEN pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::float8 END
         AS position
  FROM pg_stat_wal
""")

# What new sessions of the servers' role (the owner of the schema, else our own) begin with, in this database or in all:
# rows of "name=value" lists.
ROLE_SETTINGS: Final = Query("""
SELECT s.setconfig, s.setdatabase <> 0 AS in_database, s.setrole <> 0 AS of_role
  FROM pg_db_role_setting s
 WHERE s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
   AND s.setrole IN (0, coalesce((SELECT nspowner FROM pg_namespace WHERE nspname = {schema_name}),
                                 (SELECT oid FROM pg_roles WHERE rolname = current_user)))
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

# All indexes of the schema as the catalog has them; no lock is taken and no file is looked at. An element of `keys` is
# column number, operator class, collation and order; `columns` are those of expressions and of the condition too.
INDEXES: Final = Query("""
SELECT format('%I.%I', n.nspname, ic.relname) AS name, ic.relname AS index_name, x.indexrelid::bigint AS oid,
       format('%I.%I', n.nspname, tc.relname) AS on_table, tc.relname AS table_name, tc.relispartition AS in_child,
       ic.relkind = 'I' AS partitioned, x.indisunique AS is_unique, x.indisreplident AS is_identity,
       x.indisvalid AND x.indisready AS usable, am.amname AS method, c.contype::text AS constraint_type,
       (SELECT p.relname FROM pg_inherits h JOIN pg_class p ON p.oid = h.inhparent
         WHERE h.inhrelid = x.indexrelid) AS parent_index,
       pg_get_indexdef(x.indexrelid) AS definition, x.indexprs IS NOT NULL AS has_expressions,
       pg_get_expr(x.indpred, x.indrelid) AS condition,
       ARRAY(SELECT concat_ws('/', x.indkey[k], x.indclass[k], x.indcollation[k], x.indoption[k])
               FROM generate_series(0, x.indnkeyatts - 1) k ORDER BY k) AS keys,
       ARRAY(SELECT a.attname::text FROM generate_series(x.indnkeyatts::integer, x.indnatts - 1) k
               JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = x.indkey[k]) AS included,
       ARRAY(SELECT a.attname::text FROM pg_attribute a
              WHERE a.attrelid = x.indrelid AND a.attnum > 0
                AND (a.attnum = ANY (x.indkey::int2[])
                     OR EXISTS (SELECT FROM pg_depend d
                                 WHERE d.classid = 'pg_class'::regclass AND d.objid = x.indexrelid
                                   AND d.refclassid = 'pg_class'::regclass AND d.refobjid = x.indrelid
                                   AND d.refobjsubid = a.attnum))
              ORDER BY a.attnum) AS columns,
       EXISTS (SELECT FROM pg_stat_progress_create_index b WHERE b.relid = x.indrelid) AS being_built
  FROM pg_index x
  JOIN pg_class ic ON ic.oid = x.indexrelid
  JOIN pg_class tc ON tc.oid = x.indrelid
  JOIN pg_namespace n ON n.oid = tc.relnamespace
  JOIN pg_am am ON am.oid = ic.relam
  LEFT JOIN pg_constraint c ON c.conindid = x.indexrelid AND c.conrelid = x.indrelid AND c.contype IN ('p', 'u', 'x')
 WHERE n.nspname = {schema_name}
 ORDER BY tc.relname, ic.relname
""")

# Size and use of the indexes that have a file. `entries`: as counted by the latest vacuum or analyze, and grown with
# the table since then; null when it was never counted. `width_bytes` is what statistics say of the key; 32 where they
# are not there, or not ours to read.
_INDEX_USE: Final = """
SELECT format('%I.%I', s.schemaname, s.indexrelname) AS name, format('%I.%I', s.schemaname, s.relname) AS on_table,
       s.idx_scan, NULL::float8 AS used_s_ago, pg_relation_size(s.indexrelid) AS bytes, h.bytes AS heap_bytes,
       CASE WHEN h.bytes = 0 THEN 0
            WHEN tc.relpages = 0 OR ic.reltuples < 0 THEN NULL
            ELSE ic.reltuples * greatest(1, h.bytes / current_setting('block_size')::float8 / tc.relpages)
       END AS entries,
       (SELECT sum(coalesce(st.avg_width, CASE WHEN k.attlen > 0 THEN k.attlen END, 32))
          FROM pg_attribute k
          LEFT JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = x.indkey[k.attnum - 1]
          LEFT JOIN pg_stats st ON st.schemaname = s.schemaname AND st.tablename = s.relname AND st.attname = a.attname
         WHERE k.attrelid = s.indexrelid)::float8 AS width_bytes
  FROM pg_stat_all_indexes s
  JOIN pg_index x ON x.indexrelid = s.indexrelid
  JOIN pg_class ic ON ic.oid = s.indexrelid
  JOIN pg_class tc ON tc.oid = s.relid
 CROSS JOIN LATERAL pg_relation_size(s.relid) h (bytes)
 WHERE s.schemaname = {schema_name}
 ORDER BY s.relname, s.indexrelname
"""
INDEX_USE: Final = Query(
    _INDEX_USE,
    since={
        160000: _INDEX_USE.replace(
            "NULL::float8 AS", "EXTRACT(epoch FROM clock_timestamp() - s.last_idx_scan)::float8 AS"
        )
    },
)

# The children of `messages`, and whether each has the pop function of its epoch.
CHILDREN: Final = Query("""
SELECT format('%I.%I', n.nspname, c.relname) AS name, c.relname,
       EXISTS (SELECT FROM pg_proc f WHERE f.pronamespace = n.oid
                  AND f.proname = 'pop_' || substring(c.relname FROM '[0-9]+$')) AS has_pop
  FROM pg_inherits h
  JOIN pg_class c ON c.oid = h.inhrelid
  JOIN pg_class p ON p.oid = h.inhparent
  JOIN pg_namespace n ON n.oid = p.relnamespace
 WHERE n.nspname = {schema_name} AND p.relname = 'messages'
 ORDER BY c.relname
""")

# Where the log stands, in bytes: the difference of two is exact, while counters are a second late.
WAL_POSITION: Final = Query("""
SELECT coalesce(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END
                - '0/0'::pg_lsn, 0)::float8 AS wal_bytes
""")
