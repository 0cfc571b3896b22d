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
