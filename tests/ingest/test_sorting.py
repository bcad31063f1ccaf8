"""What is no photograph is left out by name, and what is one stays, however it is called."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from da3_pipeline.ingest import IngestConfig, run
from da3_pipeline.ingest.photos import Photo, read_photos
from da3_pipeline.ingest.scan import scan
from da3_pipeline.ingest.sorting import RULES, Sorted, sort_out, without_doubles
from da3_pipeline.ingest.sorting.contents import Contents
from da3_pipeline.progress import SilentProgress

SIZE = (120, 80)


def view(number: int, size: tuple[int, int] = SIZE) -> Image.Image:
    """A photograph of its own, the same one each time, at any size."""
    random = np.random.default_rng(number)
    coarse, fine = (random.integers(0, 255, (rows, rows * 3 // 2, 3), np.uint8) for rows in (8, 80))
    layers = [Image.fromarray(layer).resize((480, 320), Image.Resampling.BICUBIC) for layer in (coarse, fine)]
    return Image.blend(*layers, 0.3).resize(size, Image.Resampling.BOX)


def depth(number: int) -> Image.Image:
    y, x = np.mgrid[: SIZE[1], : SIZE[0]]
    return Image.fromarray((2000 + 900 * np.sin(x / 30 + number) + 8 * y).astype(np.uint16))


def binary(number: int, white: int = 255) -> Image.Image:
    used = np.zeros((SIZE[1], SIZE[0]), np.uint8)
    used[10 + number : 60, 20:90] = white
    return Image.fromarray(used)


def labels(number: int) -> Image.Image:
    return Image.fromarray(
        (np.arange(SIZE[0] * SIZE[1]).reshape(SIZE[1], SIZE[0]) // 1200 + number % 3).astype(np.uint8)
    )


def normals(number: int) -> Image.Image:
    y, x = np.mgrid[: SIZE[1], : SIZE[0]]
    n = np.stack([np.sin(x / 20 + number), np.cos(y / 30), np.full(x.shape, 1.5)], -1)
    return Image.fromarray(((n / np.linalg.norm(n, axis=2, keepdims=True) + 1) * 127.5).astype(np.uint8))


def coloured(number: int) -> Image.Image:
    values = np.asarray(depth(number)).astype(float)
    t = (values - values.min()) / np.ptp(values)
    return Image.fromarray((np.stack([t, 1 - np.abs(2 * t - 1), 1 - t], -1) * 255).astype(np.uint8))


def put(folder: Path, name: str, image: Image.Image) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix.lower() == ".heic":
        pillow_heif.from_pillow(image).save(path, quality=90)
    else:
        image.save(path, **({"quality": 95} if path.suffix.lower() in (".jpg", ".jpeg") else {}))


def sorted_out(folder: Path) -> Sorted:
    return sort_out(scan([folder]))


def kept(folder: Path) -> set[str]:
    return {file.name for file in sorted_out(folder).listing.files}


def reasons(folder: Path) -> dict[str, str]:
    return {one.frame: one.reason for one in sorted_out(folder).listing.dropped}


Picture = Callable[[int], Image.Image]

LEFT_OUT: dict[str, tuple[str, str, Picture, str]] = {
    # what it is: photographs' names, the others' names, what those show, what is said
    "depth of TUM, by time": ("rgb/1305031102.{:d}753.png", "depth/1305031102.{:d}603.png", depth, "depth that goes"),
    "depth of ScanNet": ("color/{:d}.jpg", "depth/{:d}.png", depth, "depth that goes"),
    "depth of 7-Scenes": ("seq-01/frame-{:06d}.color.png", "seq-01/frame-{:06d}.depth.png", depth, "depth that goes"),
    "depth of Replica": ("results/frame{:06d}.jpg", "results/depth{:06d}.png", depth, "depth that goes"),
    "depth of a camera in a rig": ("cam0/rgb/{:d}.jpg", "depth/cam0/{:d}.tif", depth, "depth that goes"),
    "depth with transparency": (
        "images/{:d}.jpg",
        "depth_of_rooms/{:d}.png",
        lambda k: view(k + 50).convert("LA"),
        "depth that goes",
    ),
    "depth in colours": ("images/{:d}.jpg", "depth_vis/{:d}.png", coloured, "depth that goes"),
    "depth in 8 bits": ("images/{:d}.jpg", "depths/{:d}.png", labels, "depth that goes"),
    "depth without the word": ("left/{:d}.jpg", "z/{:d}.png", depth, "one channel of 16 bits"),
    "confidence of Polycam": ("keyframes/images/{:d}.jpg", "keyframes/confidence/{:d}.png", labels, "confidence that"),
    "normals": ("images/{:d}.jpg", "normals/{:d}.png", normals, "normals that go"),
    "masks of ODM": ("{:d}.jpg", "{:d}_mask.png", binary, "used as the mask"),
    "masks of openMVS": ("{:d}.jpg", "{:d}.mask.png", binary, "used as the mask"),
    "masks of COLMAP beside": ("{:d}.jpg", "{:d}.jpg.png", binary, "used as the mask"),
    "masks of COLMAP": ("images/{:d}.jpg", "masks/{:d}.jpg.png", binary, "used as the mask"),
    "masks named before": ("{:d}.jpg", "mask_{:d}.png", binary, "used as the mask"),
    "masks in a folder": ("{:d}.jpg", "mask/{:d}.png", binary, "used as the mask"),
    "masks elsewhere": ("photos/day 1/{:d}.jpg", "segmentation/{:d}.png", binary, "used as the mask"),
    "masks in JPEG": ("images/{:d}.png", "masks/{:d}.jpg", binary, "used as the mask"),
    "masks of ones": ("images/{:d}.png", "masks/{:d}.png", lambda k: binary(k, 1), "used as the mask"),
    "masks in German": ("images/{:d}.jpg", "Masken/{:d}_Maske.png", binary, "used as the mask"),
    "masks in Chinese": ("{:d}.jpg", "遮罩/{:d}.png", binary, "used as the mask"),
    "masks with accents apart": ("{:d}.jpg", "ma\u0301scaras/{:d}.png", binary, "used as the mask"),
    "depth in French": ("images/{:d}.jpg", "profondeur/{:d}.png", depth, "depth that goes"),
    "labels": ("images/{:d}.jpg", "segmentation/{:d}.png", labels, "no mask"),
    "smaller copies": ("images/{:d}.jpg", "images_4/{:d}.jpg", lambda k: view(k, (30, 20)), "as trainers make them"),
    "smaller PNGs": ("images/{:d}.jpg", "images_4_png/{:d}.png", lambda k: view(k, (30, 20)), "as trainers make them"),
    "thumbnails in a folder": ("{:d}.jpg", "thumbs/{:d}.jpg", lambda k: view(k, (60, 40)), "a smaller copy"),
    "thumbnails beside": ("{:d}.jpg", "{:d}_thumb.jpg", lambda k: view(k, (60, 40)), "a smaller copy"),
    "input of 3DGS": ("images/{:d}.jpg", "input/{:d}.jpg", view, "before it was undistorted"),
    "COLMAP's workspace": ("images/{:d}.jpg", "dense/images/{:d}.jpg", view, "an undistorted copy"),
    "Polycam's corrected": ("images/{:d}.jpg", "corrected_images/{:d}.jpg", view, "an undistorted copy"),
    "HEIC and JPEG": ("IMG_{:04d}.JPG", "IMG_{:04d}.HEIC", view, "in another format"),
    "TIFF and JPEG": ("IMG_{:04d}.jpg", "IMG_{:04d}.tif", view, "in another format"),
    "edits of a phone": ("IMG_{:04d}.jpg", "IMG_E{:04d}.jpg", lambda k: view(k + 50), "an edited copy"),
    "edits of a takeout": ("IMG_{:04d}.jpg", "IMG_{:04d}-edited.jpg", lambda k: view(k + 50), "an edited copy"),
}


@pytest.mark.parametrize("case", LEFT_OUT)
def test_what_is_no_photograph_is_left_out_with_the_reason(tmp_path: Path, case: str) -> None:
    photographs, others, picture, reason = LEFT_OUT[case]
    for number in range(1, 6):
        put(tmp_path, photographs.format(number), view(number))
        put(tmp_path, others.format(number), picture(number))
    assert kept(tmp_path) == {photographs.format(number) for number in range(1, 6)}
    told = reasons(tmp_path)
    assert told and all(reason in why for why in told.values())
    masked = {photo: path.relative_to(tmp_path).as_posix() for photo, path in sorted_out(tmp_path).masks.items()}
    pairs = {photographs.format(number): others.format(number) for number in range(1, 6)}
    assert masked == (pairs if reason.startswith("used") else {})


STAY: dict[str, tuple[tuple[str, Picture], ...]] = {
    # what they are: names and what they show; all of them are photographs
    "grey": (("{:d}.png", lambda k: view(k).convert("L")),),
    "grey of 16 bits": (("{:d}.tif", depth),),
    "grey of 16 bits beside others": (("{:d}.jpg", view), ("scan_{:d}b.tif", depth)),
    "called mask": (("venice_mask_{:d}.jpg", view),),
    "called mask beside the like": (("venice_{:d}.jpg", view), ("venice_{:d}_mask.jpg", lambda k: view(k + 50))),
    "in a folder masks": (("masks/{:d}.jpg", view),),
    "grey in a folder masks beside grey": (
        ("faces/{:d}.jpg", lambda k: view(k).convert("L")),
        ("masks/{:d}.jpg", lambda k: view(k + 50).convert("L")),
    ),
    "of two channels beside grey": (
        ("faces/{:d}.png", lambda k: view(k).convert("LA")),
        ("masks/{:d}.png", lambda k: view(k + 50).convert("L")),
    ),
    "of silhouettes alone": (("masks/{:d}.png", binary),),
    "in a folder depth": (("depth/{:d}.png", view),),
    "of a depth of field": (("wide/{:d}.jpg", view), ("depth_of_field/{:d}.jpg", lambda k: view(k + 50))),
    "of a normal exposure": (("dark/{:d}.jpg", view), ("normal/{:d}.jpg", lambda k: view(k + 50))),
    "in images_4 alone": (("images_4/{:d}.jpg", view),),
    "of a second session": (("images/{:d}.jpg", view), ("images_2/{:d}.jpg", lambda k: view(k + 50, (60, 40)))),
    "in input alone": (("input/{:d}.jpg", view),),
    "of something small": (("church/{:d}.jpg", view), ("small_church/{:d}.jpg", lambda k: view(k + 50, (60, 40)))),
    "of one name and another suffix": (("{:d}.jpg", view), ("{:d}.png", lambda k: view(k + 50))),
    "edited, without the original": (("IMG_{:04d}-edited.jpg", view),),
    "converted": (("IMG_{:04d}.HEIC.jpg", view),),
    "of a depth of field, some of them grey": (
        ("wide/{:d}.jpg", view),
        ("depth_of_field/{:d}.jpg", lambda k: view(k + 50).convert("L") if k % 2 else view(k + 50)),
    ),
    "of one number in one format": (("image_{:d}.jpg", view), ("frame_{:d}.jpg", view)),
    "called textures": (("texture_{:d}.jpg", view),),
}


@pytest.mark.parametrize("case", STAY)
def test_photographs_stay_however_they_are_called(tmp_path: Path, case: str) -> None:
    names = set()
    for name, picture in STAY[case]:
        for number in range(1, 6):
            put(tmp_path, name.format(number), picture(number))
            names.add(name.format(number))
    assert kept(tmp_path) == names
    assert reasons(tmp_path) == {}


def test_a_photograph_without_its_larger_one_stays(tmp_path: Path) -> None:
    for number in range(5):
        put(tmp_path, f"images/{number}.jpg", view(number))
        put(tmp_path, f"images_2/{number + 1}.jpg", view(number + 1, (60, 40)))
    assert kept(tmp_path) == {*(f"images/{number}.jpg" for number in range(5)), "images_2/5.jpg"}


def test_a_folder_is_told_in_one_line(tmp_path: Path) -> None:
    for number in range(6):
        put(tmp_path, f"rgb/{number}.jpg", view(number))
        put(tmp_path, f"depth/{number}.png", depth(number))
    assert reasons(tmp_path) == {"depth/": "6 files: depth that goes with rgb/"}


def test_depth_beside_a_video(tmp_path: Path) -> None:
    (tmp_path / "rgb.mp4").write_bytes(b"x")
    for number in range(4):
        put(tmp_path, f"depth/{number:06d}.png", depth(number))
        put(tmp_path, f"confidence/{number:06d}.png", labels(number))
    assert kept(tmp_path) == {"rgb.mp4"}


def test_masks_of_a_video_are_not_photographs(tmp_path: Path) -> None:
    (tmp_path / "walk.mp4").write_bytes(b"x")
    for number in range(4):
        put(tmp_path, f"masks/walk/{number:06d}.png", binary(number))
    assert kept(tmp_path) == {"walk.mp4"}
    assert "--masks" in reasons(tmp_path)["masks/walk/"]


def test_one_mask_for_everything_is_said_to_be_there(tmp_path: Path) -> None:
    for number in range(4):
        put(tmp_path, f"{number}.jpg", view(number))
    put(tmp_path, "mask.png", binary(0))
    assert "mask.png" not in kept(tmp_path)
    assert "--masks" in reasons(tmp_path)["mask.png"]


def test_one_mask_beside_a_single_photograph_is_said_to_be_there(tmp_path: Path) -> None:
    put(tmp_path, "castle.jpg", view(1))
    put(tmp_path, "mask.png", binary(0))
    assert kept(tmp_path) == {"castle.jpg"}


def deep(image: Image.Image) -> Image.Image:
    return Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)


def test_photographs_of_16_bits_of_which_one_shows_the_same_stay(tmp_path: Path) -> None:
    numbered(tmp_path, "{}.jpg", range(4), view)
    numbered(tmp_path, "z/{}.png", range(4), lambda number: deep(view(number + (0 if number == 3 else 50))))
    assert len(kept(tmp_path)) == 8


def test_a_mask_of_another_shape_is_not_used(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg", view(1))
    put(tmp_path, "a_mask.png", binary(0).resize((80, 80)))
    found = sorted_out(tmp_path)
    assert (found.masks, [file.name for file in found.listing.files]) == ({}, ["a.jpg"])


def test_textures_of_meshes(tmp_path: Path) -> None:
    for number in range(4):
        put(tmp_path, f"castle_{number}.jpg", view(number))
    put(tmp_path, "odd name.png", view(11))
    put(tmp_path, "castle_atlas.png", view(12, (256, 256)))
    put(tmp_path, "castle9.png", view(13, (512, 512)))
    (tmp_path / "castle.obj").write_text("mtllib castle.mtl\n")
    (tmp_path / "castle.mtl").write_text("newmtl m\nKd 1 1 1\nmap_Kd -s 1 1 1 odd name.png\n")
    (tmp_path / "gltf").mkdir()
    (tmp_path / "gltf" / "scene.gltf").write_text(json.dumps({"images": [{"uri": "tex/7.jpg"}, {"bufferView": 0}]}))
    put(tmp_path, "gltf/tex/7.jpg", view(14))
    assert kept(tmp_path) == {f"castle_{number}.jpg" for number in range(4)}
    assert reasons(tmp_path)["odd name.png"] == "a texture of castle.mtl"
    (tmp_path / "castle.mtl").write_bytes(b"\xff\0map_Kd \0.png\n")
    (tmp_path / "gltf" / "scene.gltf").write_text('{"images": [3]}')
    assert {"odd name.png", "gltf/tex/7.jpg"} <= kept(tmp_path)


def test_a_preview_of_another_size(tmp_path: Path) -> None:
    for number in range(4):
        put(tmp_path, f"keyframes/{number}.jpg", view(number))
    put(tmp_path, "thumbnail.jpg", view(9, (80, 80)))
    put(tmp_path, "cover.jpg", view(10))
    assert kept(tmp_path) == {*(f"keyframes/{number}.jpg" for number in range(4)), "cover.jpg"}


def test_the_raw_form_of_a_photograph(tmp_path: Path) -> None:
    for number in range(3):
        put(tmp_path, f"DSC{number}.JPG", view(number))
        (tmp_path / f"DSC{number}.NEF").write_bytes(b"II*\0")
    (tmp_path / "DSC7.NEF").write_bytes(b"II*\0")
    assert kept(tmp_path) == {"DSC0.JPG", "DSC1.JPG", "DSC2.JPG", "DSC7.NEF"}
    assert reasons(tmp_path)["DSC1.NEF"] == "the raw form of DSC1.JPG"


def test_pictures_saved_again_are_found_by_what_they_show(tmp_path: Path) -> None:
    for number in range(4):
        put(tmp_path, f"{number}.png", view(number, (480, 320)))
    view(2, (480, 320)).save(tmp_path / "WhatsApp 2.jpg", quality=40)
    view(3, (240, 160)).save(tmp_path / "mailed.jpg", quality=80)
    view(3, (480, 320)).crop((4, 0, 484, 320)).save(tmp_path / "moved.png")
    capture = run([tmp_path], IngestConfig(), SilentProgress())
    assert {photo.name for photo in capture.photos} == {"0.png", "1.png", "2.png", "3.png", "moved.png"}
    told = {one.frame: one.reason for one in capture.dropped}
    assert told == {
        "WhatsApp 2.jpg": "shows the same as 2.png, in every detail",
        "mailed.jpg": "shows the same as 3.png, in every detail",
    }


def test_files_given_one_by_one_have_their_partners_beside_them(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        put(tmp_path, f"{folder}/1.jpg", view(ord(folder)))
        put(tmp_path, f"{folder}/1_mask.png", binary(1))
    found = sort_out(scan(sorted(tmp_path.rglob("*.*"))))
    assert len(found.listing.files) == 2
    assert {path.parent.name for path in found.masks.values()} == {"a", "b"}


def test_a_large_folder_takes_time_in_proportion(tmp_path: Path) -> None:
    """Headers are looked at once a file, and contents of a few a folder: counted, not timed."""
    for number in range(60):
        put(tmp_path, f"rgb/{number}.jpg", view(number % 5))
        put(tmp_path, f"depth/{number}.png", depth(number))
        put(tmp_path, f"masks/{number}.png", binary(number % 40))
    looked: list[str] = []
    import da3_pipeline.ingest.sorting.contents as contents

    original = contents.read_grid
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(contents, "read_grid", lambda path, side: looked.append(path.name) or original(path, side))
        patch.setattr(contents, "read_rgb", lambda path, **_: looked.append(path.name))
        found = sorted_out(tmp_path)
    assert (len(found.listing.files), len(found.masks)) == (60, 60)
    assert len(looked) < 12


def test_rules_have_names_and_sentences_of_their_own() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES)
    assert all(rule.sentence == rule.sentence.strip(". ") for rule in RULES)


def numbered(folder: Path, pattern: str, numbers: range, picture: Picture) -> None:
    for number in numbers:
        put(folder, pattern.format(number), picture(number))


@pytest.mark.parametrize(
    ("others", "picture", "photographs", "left"),
    [
        ("depth/{}.png", depth, 4, 0),
        ("depth/{}.png", depth, 3, 2),
        ("normals/{}.png", normals, 4, 0),
        ("normals/{}.png", normals, 3, 2),
        ("z/{}.png", depth, 4, 1),  # whose name does not tell
        ("z/{}.png", depth, 3, 5),
    ],
)
def test_maps_that_lost_a_photograph_are_maps_where_most_have_one(
    tmp_path: Path, others: str, picture: Picture, photographs: int, left: int
) -> None:
    numbered(tmp_path, "images/{}.jpg", range(photographs), view)
    numbered(tmp_path, others, range(5), picture)
    assert len(kept(tmp_path)) == photographs + left


def test_normals_may_have_nothing_around_them(tmp_path: Path) -> None:
    def cut_out(number: int) -> Image.Image:
        whole = np.asarray(normals(number)).copy()
        whole[:50] = 0
        return Image.fromarray(whole)

    numbered(tmp_path, "images/{}.jpg", range(4), view)
    numbered(tmp_path, "normals/{}.png", range(4), cut_out)
    assert all(name.startswith("images/") for name in kept(tmp_path))


def test_soft_mattes_are_no_masks_beside_photographs_in_colour(tmp_path: Path) -> None:
    def matte(number: int) -> Image.Image:
        return Image.fromarray(np.tile(np.linspace(0, 255, SIZE[0]).astype(np.uint8), (SIZE[1], 1)))

    numbered(tmp_path, "images/{}.jpg", range(4), view)
    numbered(tmp_path, "mattes/{}.png", range(4), matte)
    found = sorted_out(tmp_path)
    assert len(found.listing.files) == 4 and not found.masks
    assert "no mask" in found.listing.dropped[0].reason


@pytest.mark.parametrize("upright", [False, True])
def test_a_mask_may_be_a_little_off_in_shape(tmp_path: Path, upright: bool) -> None:
    def turned(image: Image.Image) -> Image.Image:
        return image.rotate(90, expand=True) if upright else image

    for name, height, used in (("a", 84, True), ("b", 90, False), ("c", 70, False)):
        put(tmp_path, f"{name}.jpg", turned(view(1)))
        put(tmp_path, f"{name}_mask.png", turned(binary(0).resize((120, height))))
        assert (f"{name}.jpg" in sorted_out(tmp_path).masks) is used


@pytest.mark.parametrize("upright", [False, True])
def test_one_view_has_one_shape_at_any_size(tmp_path: Path, upright: bool) -> None:
    names = {"whole": (120, 80), "half": (60, 40), "near": (122, 80), "higher": (120, 90), "lower": (120, 70)}
    for name, size in names.items():
        picture = view(1, size)
        put(tmp_path, f"{name}.png", picture.rotate(90, expand=True) if upright else picture)
    files = {Path(file.name).stem: file for file in scan([tmp_path]).files}
    contents = Contents()
    same = [name for name in names if contents.same_view(files["whole"], files[name], 0.9)]
    assert same == ["whole", "half", "near"]


def test_of_two_formats_the_larger_picture_stays_and_of_equals_the_plainer(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg", view(1, (60, 40)))
    put(tmp_path, "a.png", view(1))
    put(tmp_path, "b.jpg", view(2))
    put(tmp_path, "b.png", view(2))
    assert kept(tmp_path) == {"a.png", "b.jpg"}


def test_what_shows_something_else_is_no_other_format(tmp_path: Path) -> None:
    numbered(tmp_path, "{}.jpg", range(4), view)
    numbered(tmp_path, "{}.png", range(4), lambda number: view(number + (50 if number == 2 else 0)))
    assert kept(tmp_path) == {"0.jpg", "1.jpg", "2.jpg", "3.jpg", "2.png"}


def test_a_copy_as_large_is_no_thumbnail(tmp_path: Path) -> None:
    numbered(tmp_path, "{}.jpg", range(4), view)
    numbered(tmp_path, "thumbs/{}.jpg", range(4), view)
    assert len(kept(tmp_path)) == 8


def test_an_edit_in_another_folder_stays(tmp_path: Path) -> None:
    put(tmp_path, "day 1/IMG_1001.jpg", view(1))
    put(tmp_path, "day 2/IMG_1001-edited.jpg", view(2))
    assert len(kept(tmp_path)) == 2


def test_raw_forms_lie_anywhere_in_the_source(tmp_path: Path) -> None:
    for source in ("one", "other"):
        put(tmp_path, f"{source}/jpg/DSC1.jpg", view(1 if source == "one" else 2))
    (tmp_path / "one/raw").mkdir()
    for name in ("DSC1.NEF", "DSC2.NEF"):
        (tmp_path / "one/raw" / name).write_bytes(b"II*\0")
    put(tmp_path, "other/jpg/DSC2.jpg", view(3))
    left = sort_out(scan([tmp_path / "one", tmp_path / "other"])).listing
    assert sorted(file.path.name for file in left.files) == ["DSC1.jpg", "DSC1.jpg", "DSC2.NEF", "DSC2.jpg"]


@pytest.mark.parametrize(("photographs", "covers", "left"), [(3, 2, 3), (2, 2, 4), (3, 3, 6)])
def test_previews_are_few_beside_photographs(tmp_path: Path, photographs: int, covers: int, left: int) -> None:
    numbered(tmp_path, "{}.jpg", range(photographs), view)
    numbered(tmp_path, "cover {}.jpg", range(covers), lambda number: view(20 + number, (80, 120)))
    assert len(kept(tmp_path)) == left


@pytest.mark.parametrize(
    ("name", "size", "texture"),
    [
        ("castle7.png", (256, 256), True),
        ("castle7.png", (128, 128), False),
        ("castle7.png", (384, 384), False),
        ("castle7.png", (512, 256), False),
        ("tower7.png", (256, 256), False),
        ("tower_atlas.png", (100, 70), True),
        ("textures/castle7.png", (256, 256), True),
        ("rooms/castle7.png", (256, 256), False),
    ],
)
def test_what_is_square_and_called_as_the_mesh_is_its_texture(
    tmp_path: Path, name: str, size: tuple[int, int], texture: bool
) -> None:
    (tmp_path / "castle.obj").write_text("")
    put(tmp_path, "photo.jpg", view(1))
    put(tmp_path, name, view(2, size))
    assert (name not in kept(tmp_path)) is texture


def test_textures_are_named_in_any_letters_and_folder(tmp_path: Path) -> None:
    for name in ("a.png", "tex/b.png", "c.png", "d.png"):
        put(tmp_path, name, view(ord(name[-5])))
    (tmp_path / "castle.mtl").write_text(
        "newmtl m\n  MAP_KD -o 0 0 0 -mm 0 1 a.png  \nbump tex\\b.png\n# map_Kd d.png\n"
    )
    assert kept(tmp_path) == {"c.png", "d.png"}


def test_few_files_are_told_one_by_one_and_many_by_their_folder(tmp_path: Path) -> None:
    numbered(tmp_path, "a/{}.jpg", range(3), view)
    numbered(tmp_path, "a/depth/{}.png", range(3), depth)
    assert reasons(tmp_path) == {f"a/depth/{k}.png": f"depth that goes with a/{k}.jpg" for k in range(3)}
    numbered(tmp_path, "b/{}.jpg", range(3, 7), view)
    numbered(tmp_path, "b/depth/{}.png", range(3, 7), depth)
    assert reasons(tmp_path)["b/depth/"] == "4 files: depth that goes with b/"
    assert len(reasons(tmp_path)) == 4


def test_files_that_go_with_several_folders_say_so(tmp_path: Path) -> None:
    numbered(tmp_path, "one/{}.jpg", range(2), view)
    numbered(tmp_path, "other/{}.jpg", range(2, 4), view)
    numbered(tmp_path, "depth/{}.png", range(4), depth)
    assert reasons(tmp_path) == {"depth/": "4 files: depth that goes with other folders"}


def test_masks_that_are_not_wanted_are_left_out_all_the_same(tmp_path: Path) -> None:
    numbered(tmp_path, "{}.jpg", range(4), view)
    numbered(tmp_path, "masks/{}.png", range(4), binary)
    found = sort_out(scan([tmp_path]), use_masks=False)
    assert not found.masks and len(found.listing.files) == 4
    (told,) = found.listing.dropped
    assert told.reason == "4 files: a mask of ./, not used: --masks says otherwise"


def test_of_pictures_saved_again_on_their_side_too(tmp_path: Path) -> None:
    upright = view(5, (480, 320)).rotate(90, expand=True)
    upright.save(tmp_path / "a.png")
    upright.resize((160, 240), Image.Resampling.BOX).save(tmp_path / "b.jpg", quality=85)
    capture = run([tmp_path], IngestConfig(), SilentProgress())
    assert [photo.name for photo in capture.photos] == ["a.png"]


def test_masks_that_cannot_be_read_are_nobodys(tmp_path: Path) -> None:
    """They stay, to be named when all is read."""
    numbered(tmp_path, "{}.jpg", range(3), view)
    (tmp_path / "masks").mkdir()
    for number in range(3):
        (tmp_path / f"masks/{number}.png").write_bytes(b"no picture")
    found = sorted_out(tmp_path)
    assert not found.masks and len(found.listing.files) == 6


def test_pictures_that_differ_in_fine_detail_alone_are_two(tmp_path: Path) -> None:
    """As exposures from a tripod: noise is another every time."""
    grain = np.random.default_rng(1).normal(0, 12, (2, 320, 480, 3))
    smooth = np.asarray(view(1, (24, 16)).resize((480, 320), Image.Resampling.BICUBIC)).astype(float)
    for number in range(2):
        Image.fromarray(np.clip(smooth + grain[number], 0, 255).astype(np.uint8)).save(tmp_path / f"{number}.png")
    assert len(run([tmp_path], IngestConfig(), SilentProgress()).photos) == 2


def test_copies_of_a_file_are_for_the_selection_and_other_shapes_are_other_pictures(tmp_path: Path) -> None:
    put(tmp_path, "a.png", view(1, (480, 320)))
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes())
    put(tmp_path, "squeezed.png", view(1, (480, 360)))
    assert len(run([tmp_path], IngestConfig(), SilentProgress()).photos) == 3


def test_what_vanished_is_not_taken_for_another_saved_again(tmp_path: Path) -> None:
    put(tmp_path, "a.png", view(1, (480, 320)))
    put(tmp_path, "b.jpg", view(1, (480, 320)))
    photos = [one for one in read_photos(scan([tmp_path]).files, IngestConfig()) if isinstance(one, Photo)]
    assert len(without_doubles(photos)[0]) == 1
    (tmp_path / "b.jpg").write_bytes(b"")
    assert len(without_doubles(photos)[0]) == 2


def test_what_is_left_out_is_told_in_the_order_of_names(tmp_path: Path) -> None:
    """Whichever rule was first."""
    for number in (10, 9, 2):
        put(tmp_path, f"{number}.jpg", view(number))
    put(tmp_path, "10_mask.png", binary(1))
    put(tmp_path, "9_thumb.jpg", view(9, (60, 40)))
    put(tmp_path, "2_mask.png", binary(2))
    assert [one.frame for one in sorted_out(tmp_path).listing.dropped] == ["2_mask.png", "9_thumb.jpg", "10_mask.png"]
