"""What names and stored values say of a file, by themselves."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import numpy as np
import pytest

from da3_pipeline.ingest.scan import FoundFile
from da3_pipeline.ingest.sorting.contents import Contents, alike, is_label_map, is_two_valued
from da3_pipeline.ingest.sorting.remaining import Remaining, spread
from da3_pipeline.ingest.sorting.roles import core, place, roles_of, says_only, time_of, tokens, words

RNG = np.random.default_rng(0)


def test_words_and_numbers_are_told_apart() -> None:
    assert tokens("frame_007Depth-0.PNG") == ["frame", "7", "depth", "0", "png"]


@pytest.mark.parametrize(
    ("folder", "stem", "roles"),
    [
        ("", "IMG_1234", ()),
        ("rgb", "7", ()),
        ("", "IMG_E1234", ("edited",)),
        ("depth", "mask_7", ("mask", "depth")),
        ("", "depth_mask_7", ("mask", "depth")),
        ("masks/depth", "7", ("depth", "mask")),
        ("images_4", "7", ("reduced",)),
        ("images_1", "7", ()),
        ("images_4_png/thumbs", "7", ("thumbnail", "reduced")),
        ("depth", "depth_7", ("depth",)),
        ("", "7.jpg.mask", ("mask",)),
    ],
)
def test_parts_that_a_file_plays_the_most_telling_first(folder: str, stem: str, roles: tuple[str, ...]) -> None:
    assert roles_of(folder, stem) == roles


def test_names_of_one_view_tell_the_same() -> None:
    assert {core(stem, "depth") for stem in ("frame000007", "depth000007", "7.color", "7.jpg", "7")} == {"7"}
    assert core("7_mask", "mask") == "7" != core("7_mask", "depth")
    assert core("7_mask", None) == "7 mask"
    assert core("IMG_E1234", "edited") == core("IMG_1234", "edited") == core("IMG_1234-edited", "edited")


def test_places_are_without_the_words_of_the_part() -> None:
    assert place("cam0/rgb", "depth") == place("depth/cam0", "depth") == ("cam 0",)
    assert place("images_4", "reduced") == place("images", "reduced") == ()
    assert place("images_4", "mask") != place("images", "mask")
    assert place("masks/a", None) == ("masks", "a")


@pytest.mark.parametrize(
    ("folder", "only"), [("depth", True), ("day 1/depth_vis", True), ("depth_16", True), ("depth_of_field", False)]
)
def test_whether_a_folder_says_anything_else(folder: str, only: bool) -> None:
    assert says_only(folder, "depth", words("vis map")) is only
    assert says_only("depth_vis_of", "depth", words("vis map")) is False


TIMES = {"1305031102.175304": 1305031102.175304, "123456789": 123456789.0, "2.500": 2.5}
TIMES_NOT = ("12345678", "2.5", "t2.500")


def test_times_are_long_or_have_decimals() -> None:
    assert {stem: time_of(stem) for stem in TIMES} == TIMES
    assert [time_of(stem) for stem in TIMES_NOT] == [None] * 3


@pytest.mark.parametrize(
    ("count", "chosen"), [(4, [0, 3, 6, 9]), (2, [0, 9]), (3, [0, 4, 9]), (10, list(range(10))), (11, list(range(10)))]
)
def test_a_few_are_spread_from_the_first_to_the_last(count: int, chosen: list[int]) -> None:
    assert spread(range(10), count) == chosen


def found(name: str, kind: str = "photo") -> FoundFile:
    folder = str(PurePosixPath(name).parent)
    return FoundFile(name, Path("/capture", name), kind, 0, "" if folder == "." else folder)  # type: ignore[arg-type]


def test_partners_by_time_are_the_nearest_within_a_step() -> None:
    pictures = [found(f"rgb/{1000000000 + 0.25 * k:.6f}.png") for k in range(5)]
    left = Remaining(pictures, Contents())
    for time, partner in ((0.1, 0), (0.2, 1), (0.55, 2), (1.2, 4), (-0.2, 0), (1.3, None), (-0.3, None)):
        other = left.partner(found(f"depth/{1000000000 + time:.6f}.png"), "depth")
        assert other is (None if partner is None else pictures[partner])
    early = found("depth/1000000000.100000.png")
    assert Remaining(pictures[:2], Contents()).partner(early, "depth") is pictures[0]
    assert Remaining(pictures[:1], Contents()).partner(early, "depth") is None


def test_a_partner_elsewhere_must_be_the_only_photograph_called_so() -> None:
    mask = found("segmentation/7.png")
    one, other, thumb = found("day 1/7.jpg"), found("day 2/7.jpg"), found("thumbs/7.jpg")
    assert Remaining([one], Contents()).partner(mask, "mask") is one
    assert Remaining([one, thumb], Contents()).partner(mask, "mask") is one
    assert Remaining([one, found("masks/7.png")], Contents()).partner(mask, "mask") is one, "a mask is no partner"
    assert Remaining([one, other], Contents()).partner(mask, "mask") is None
    assert Remaining([found("day 1/8.jpg"), mask], Contents()).partner(mask, "mask") is None


def test_a_video_is_beside_or_called_as_the_folder() -> None:
    clip = found("walk.mp4", "video")
    left = Remaining([clip], Contents())
    assert left.video(found("masks/7.png"), "mask") is clip
    assert left.video(found("masks/walk/7.png"), "mask") is clip
    assert left.video(found("masks/other/7.png"), "mask") is None
    elsewhere = FoundFile("7.png", Path("/other/masks/7.png"), "photo", 1, "masks")
    assert left.video(elsewhere, "mask") is None


def test_likeness_does_not_depend_on_contrast() -> None:
    picture, other = RNG.uniform(0, 255, (2, 32, 32))
    assert alike(picture, 0.3 * picture + 40) == pytest.approx(1)
    assert alike(picture, 255 - picture) == pytest.approx(-1)
    assert abs(alike(picture, other)) < 0.2
    flat = np.full((32, 32), 90.0)
    assert alike(flat, flat + 60) == 1 and alike(flat, picture) == 0


HALVES = np.repeat([0, 1], 2000).reshape(40, 100, 1)


def soft(share: float, low: int = 0, high: int = 255) -> np.ndarray:
    """A mask as JPEG leaves it: near its ends, but for a share of the pixels."""
    values = np.where(
        HALVES == 0, RNG.integers(low, low + 20, HALVES.shape), RNG.integers(high - 20, high, HALVES.shape)
    )
    values.ravel()[:: round(1 / share)] = (low + high) // 2
    values[0, 0], values[-1, -1] = low, high
    return values.astype(np.uint8)


def with_alpha(values: np.ndarray, alpha: np.ndarray | int) -> np.ndarray:
    return np.concatenate([values, np.broadcast_to(alpha, (*values.shape[:2], 1))], axis=2).astype(np.uint8)


PHOTO = RNG.integers(0, 255, (40, 100, 3)).astype(np.uint8)
GREY = np.broadcast_to(np.linspace(0, 255, 100)[None, :, None], (40, 100, 1)).astype(np.uint8)


@pytest.mark.parametrize(
    ("values", "mask"),
    [
        (255 * HALVES.astype(np.uint8), True),
        (HALVES.astype(np.uint8), True),
        ((100 + 9 * HALVES).astype(np.uint8), True),
        (65535 * HALVES.astype(np.uint16), True),
        (HALVES.astype(np.float32), True),
        (np.repeat(255 * HALVES, 3, axis=2).astype(np.uint8), True),
        (soft(1 / 50), True),
        (soft(1 / 25), False),
        (soft(1 / 50, 60, 180), False),  # no wide range
        (GREY, False),
        (PHOTO, False),
        (np.full((4, 4, 1), 255, np.uint8), True),
        (np.full((4, 4, 1), 0, np.uint8), True),
        (np.full((4, 4, 1), 1, np.uint8), True),
        (np.full((4, 4, 1), 128, np.uint8), False),
        (np.full((4, 4, 1), 65535, np.uint16), True),
        (np.full((4, 4, 1), 255, np.uint16), False),
        (np.concatenate([255 * HALVES, 0 * HALVES, 255 - 255 * HALVES], axis=2).astype(np.uint8), False),  # red, blue
        (with_alpha(PHOTO, 255 * HALVES), True),
        (with_alpha(PHOTO, 255), False),
        (with_alpha(PHOTO, GREY), False),
        (with_alpha(np.repeat(255 * HALVES, 3, axis=2), 255), True),
        (with_alpha(GREY, 255 * HALVES), True),
        (with_alpha(255 * HALVES, 255), True),
        (with_alpha(255 * HALVES, GREY), False),  # transparency is what it says
    ],
)
def test_a_mask_has_two_values_or_is_near_the_ends(values: np.ndarray, mask: bool) -> None:
    assert is_two_valued(values) is mask


def test_labels_are_few_values_or_colours() -> None:
    for count, labels in ((64, True), (65, False)):
        values = np.arange(count, dtype=np.uint8).repeat(3)[:, None, None]
        assert is_label_map(values) is labels
        assert is_label_map(np.concatenate([values, values // 2, 0 * values], axis=2)) is labels
