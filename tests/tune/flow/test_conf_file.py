"""Values put into the text of a configuration file: where they stand, at the end, and nothing else touched."""

from __future__ import annotations

import pytest

from queen.tune.flow.conf_file import HEADER, Include, Setting, assigned, includes, merged, written

WORK = Setting("work_mem", "8MB", "one batch")


def test_a_setting_is_changed_where_it_stands_and_the_rest_stays() -> None:
    text = "# mine\nwork_mem = 4MB   # old\nport = 5432\n"
    assert merged(text, [WORK]) == f"# mine\n{written(WORK)}\nport = 5432\n"


@pytest.mark.parametrize("line", ["work_mem = 4MB", "work_mem=4MB", "  WORK_MEM '4MB'", "work_mem\t=\t4MB # note"])
def test_it_is_known_however_it_is_written(line: str) -> None:
    assert assigned(line) == "work_mem"
    assert merged(line, [WORK]) == written(WORK) + "\n"


@pytest.mark.parametrize(
    "line", ["", "# work_mem = 4MB", "include_dir 'conf.d'", "include = 'work_mem.conf'", "work_mem"]
)
def test_what_sets_nothing_is_left_alone(line: str) -> None:
    assert assigned(line) == ""
    assert merged(line + "\n", [WORK]).startswith(line)


def test_the_last_of_several_lines_counted_and_is_the_one_that_stays() -> None:
    assert merged("work_mem = 1MB\nport = 1\nwork_mem = 2MB\n", [WORK]) == f"port = 1\n{written(WORK)}\n"


def test_new_ones_go_to_the_end_of_a_file_or_into_a_new_one() -> None:
    assert merged("port = 1\n", [WORK]) == f"port = 1\n\n{written(WORK)}\n"
    assert merged(None, [WORK]) == f"{HEADER}\n{written(WORK)}\n"
    assert merged("port = 1\n", []) == "port = 1\n"


def test_doing_it_twice_changes_nothing() -> None:
    once = merged("port = 1\n", [WORK, Setting("jit", "off", "")])
    assert merged(once, [WORK, Setting("jit", "off", "")]) == once


@pytest.mark.parametrize(
    ("value", "text"), [("8MB", "8MB"), ("0.9", "0.9"), ("a, b", "'a, b'"), ("it's", "'it''s'"), ("", "''")]
)
def test_values_are_quoted_where_they_must_be(value: str, text: str) -> None:
    assert written(Setting("name", value, "")) == f"name = {text}"


def test_directives_are_found_in_order() -> None:
    lines = ["include 'a.conf'", "#include 'no.conf'", "include_dir = 'conf.d' # all"]
    text = "\n".join([*lines, "  include_if_exists='b.conf'", "include_dir ''", ""])
    assert list(includes(text)) == [
        Include("include", "a.conf"),
        Include("include_dir", "conf.d"),
        Include("include_if_exists", "b.conf"),
    ]
