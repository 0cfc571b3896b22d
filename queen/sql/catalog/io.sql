-- Reads and writes of the cluster's data files, from PostgreSQL 16 on.
-- Returns one row of running totals: data_reads, data_writes, data_extends, data_fsyncs. Tables written: none.
select sum(reads)::bigint as data_reads, sum(writes)::bigint as data_writes, sum(extends)::bigint as data_extends,
       sum(fsyncs)::bigint as data_fsyncs
  from pg_stat_io
 where object = 'relation'
