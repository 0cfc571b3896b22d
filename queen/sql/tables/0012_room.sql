-- More room on the pages of the rows that change with every flush.
--
-- A page of 8 kB holds some 75 versions of such a row. While a long transaction keeps dead versions from being removed,
-- an update stays on its page (HOT) until the page is full; then it goes to another page and into every index, where the
-- uniqueness check walks through all entries of the row that are still there. With half a page per filling, some 37 rows
-- shared the other half, so about every second update moved, and its cost grew with the square of the time. With a tenth
-- some seven rows share the rest: one update in ten moves. The price is space, about 1.1 kB for each row.
-- Rows that are there get it as they move; a new page has it from the beginning.
alter table partitions set (fillfactor = 10);
alter table cursors set (fillfactor = 10);
