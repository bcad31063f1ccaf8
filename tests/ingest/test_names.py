"""Names: natural order, uniqueness, and characters that files may have and reports may not."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from da3_pipeline.ingest.names import UniqueNames, clean_name, identifier, natural_key


def test_numbers_sort_by_value_and_folders_stay_together() -> None:
    expected = ["1.jpg", "2.jpg", "10.jpg", "a/2.jpg", "a/10.jpg", "a b/1.jpg", "B/IMG_9.JPG", "b/img_010.jpg"]
    shuffled = expected[:]
    random.Random(0).shuffle(shuffled)
    assert sorted(shuffled, key=natural_key) == expected


@given(st.lists(st.integers(0, 10**20), unique=True))
def test_numbered_names_sort_as_their_numbers(numbers: list[int]) -> None:
    names = sorted((f"frame{number}.png" for number in numbers), key=natural_key)
    assert names == [f"frame{number}.png" for number in sorted(numbers)]


@given(st.lists(st.text(max_size=12), unique=True), st.randoms(use_true_random=False))
def test_the_order_is_total(names: list[str], shuffler: random.Random) -> None:
    shuffled = names[:]
    shuffler.shuffle(shuffled)
    assert sorted(shuffled, key=natural_key) == sorted(names, key=natural_key)


@given(st.lists(st.sampled_from(["a.jpg", "a-2.jpg", "b/a.jpg", "a", "a.tar.gz", ".x"]), max_size=12), st.booleans())
def test_claimed_names_are_unique_and_free_ones_are_kept(names: list[str], before_suffix: bool) -> None:
    register = UniqueNames()
    claimed = [register.claim(name, before_suffix) for name in names]
    assert len(set(claimed)) == len(claimed)
    if names:
        assert claimed[0] == names[0]


def test_a_taken_name_is_numbered_before_its_suffix() -> None:
    register = UniqueNames()
    assert [register.claim("b/a.jpg") for _ in range(3)] == ["b/a.jpg", "b/a-2.jpg", "b/a-3.jpg"]
    assert [register.claim("x_3.61mm", before_suffix=False) for _ in range(2)] == ["x_3.61mm", "x_3.61mm-2"]


def test_one_name_in_two_encodings_is_one_name() -> None:
    """A folder of macOS cannot hold both."""
    register = UniqueNames()
    assert [register.claim(name) for name in ("caf\u00e9.jpg", "cafe\u0301.jpg")] == [
        "caf\u00e9.jpg",
        "cafe\u0301-2.jpg",
    ]


@given(st.text())
def test_clean_names_can_be_printed_on_one_line_and_encoded(name: str) -> None:
    cleaned = clean_name(name)
    cleaned.encode("utf-8")
    assert len(cleaned.splitlines()) <= 1
    assert len(cleaned) == len(name)


def test_accents_quotes_and_spaces_are_kept() -> None:
    assert clean_name('Été d\'"or" 1.jpg') == 'Été d\'"or" 1.jpg'
    assert clean_name("a\nb\x7f.jpg") == "a_b_.jpg"
    assert clean_name(b"caf\xe9.jpg".decode("utf-8", "surrogateescape")) == "caf_.jpg"


def test_identifiers_fit_a_file_name() -> None:
    assert identifier("DJI FC300S", "3.61mm", "1024x576") == "DJI_FC300S_3.61mm_1024x576"
    assert identifier("../x", "", "a/b:c") == "x_a_b_c"
