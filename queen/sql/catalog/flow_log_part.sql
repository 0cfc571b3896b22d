-- A part of one file of the log, as bytes: a part may begin in the middle of a character.
-- Parameters: path, from_byte, bytes. Returns one row: content. Tables written: none.
select pg_read_binary_file(%(path)s, %(from_byte)s, %(bytes)s) as content
