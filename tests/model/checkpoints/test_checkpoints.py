"""Checkpoints in the published format: round trips, and one clear error for each thing that can be wrong."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from da3_pipeline.errors import WeightsError
from da3_pipeline.model import (
    VARIANTS,
    DepthAnything3,
    ModelConfig,
    build,
    load,
    local_checkpoint,
    save_checkpoint,
)
from da3_pipeline.model.checkpoints import format as checkpoint_format
from da3_pipeline.model.checkpoints.sources import WEIGHTS_FOLDER_VARIABLE

KEYS = Path(__file__).parents[2] / "data" / "model" / "keys_da3-small.json"
SHARED_NORM = "head.scratch.output_conv2_aux.{}.2.weight"


@pytest.fixture(scope="module")
def nano() -> DepthAnything3:
    return build("da3-nano", generator=torch.Generator().manual_seed(0))


@pytest.fixture
def published(nano: DepthAnything3, tmp_path: Path) -> Callable[..., Path]:
    """Write the nano's weights as the hub holds them: no configuration in the header."""

    def write(name: str = "hub.safetensors", drop: str = "", **changed: torch.Tensor) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        save_checkpoint(nano, path)
        tensors = {key: tensor for key, tensor in load_file(path).items() if key != drop}
        save_file({**tensors, **changed}, path)
        return path

    return write


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No network, though nothing forbids asking, and an empty folder for checkpoints placed by hand."""

    def unreachable(*args: object, **kwargs: object) -> str:
        raise ConnectionError("Name or service not known\nwith more lines")

    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", unreachable)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", unreachable)
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *args: None)
    monkeypatch.setenv(WEIGHTS_FOLDER_VARIABLE, str(tmp_path / "placed"))


def _assert_same(left: DepthAnything3, right: DepthAnything3, dtype: torch.dtype = torch.float32) -> None:
    theirs = right.state_dict()
    assert all(torch.equal(tensor.to(dtype), theirs[name].to(dtype)) for name, tensor in left.state_dict().items())


def test_a_saved_network_loads_again(tiny: DepthAnything3, tmp_path: Path) -> None:
    save_checkpoint(tiny, tmp_path / "tiny.safetensors")
    again = load(tmp_path / "tiny.safetensors")
    _assert_same(tiny, again)
    assert again.config == tiny.config
    assert not again.training
    assert all(not tensor.is_meta for tensor in again.state_dict().values())


def test_files_have_the_published_keys(tmp_path: Path) -> None:
    save_checkpoint(build("da3-small"), tmp_path / "n.safetensors")
    aliases = {SHARED_NORM.format(level).replace("weight", part) for level in (1, 2, 3) for part in ("weight", "bias")}
    expected = {f"model.{key}" for key in json.loads(KEYS.read_text()) if key not in aliases}
    with safe_open(tmp_path / "n.safetensors", "pt") as file:
        assert set(file.keys()) == expected


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_files_load_into_float32(tiny: DepthAnything3, tmp_path: Path, dtype: torch.dtype) -> None:
    path = tmp_path / "half.safetensors"
    save_checkpoint(tiny, path, dtype)
    again = load(path)
    _assert_same(tiny, again, dtype)
    assert {weight.dtype for weight in again.parameters()} == {torch.float32}
    images = torch.randn(1, 2, 3, 28, 42)
    with torch.inference_mode():
        torch.testing.assert_close(tiny(images).depth, again(images).depth, rtol=0.05, atol=0.05)


def test_the_trunk_alone_takes_another_precision(tiny: DepthAnything3, tmp_path: Path) -> None:
    save_checkpoint(tiny, tmp_path / "tiny.safetensors")
    again = load(tmp_path / "tiny.safetensors", dtype=torch.bfloat16)
    assert {weight.dtype for weight in again.trunk.parameters()} == {torch.bfloat16}
    assert {weight.dtype for weight in again.head.parameters()} == {torch.float32}
    images = torch.randn(1, 3, 3, 28, 42)
    with torch.inference_mode():
        exact, rough = tiny(images), again(images)
    assert rough.depth.dtype == torch.float32
    torch.testing.assert_close(exact.depth, rough.depth, rtol=0.1, atol=0.1)


def test_a_file_is_mapped_in_parts_so_that_converted_weights_do_not_lie_beside_all_of_it(
    tiny: DepthAnything3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "tiny.safetensors"
    save_checkpoint(tiny, path)
    opened: list[list[int]] = []

    class Recorded:
        def __init__(self, *given: object, **options: object) -> None:
            self.file = safe_open(*given, **options)
            opened.append([])

        def __enter__(self) -> Recorded:
            self.file.__enter__()
            return self

        def __exit__(self, *details: object) -> None:
            self.file.__exit__(*details)

        def get_tensor(self, key: str) -> torch.Tensor:
            opened[-1].append(self.file.get_tensor(key).numel())
            return self.file.get_tensor(key)

        def __getattr__(self, name: str) -> object:
            return getattr(self.file, name)

    monkeypatch.setattr(checkpoint_format, "safe_open", Recorded)
    monkeypatch.setattr(checkpoint_format, "_BATCH_FLOATS", 20_000)
    again = load(path, dtype=torch.bfloat16)
    _assert_same(tiny, again, torch.bfloat16)
    parts = [sizes for sizes in opened if sizes]
    assert len(parts) > 10
    assert all(sum(sizes) <= 20_000 or len(sizes) == 1 for sizes in parts)


def test_the_shared_norm_is_filled_from_its_one_published_name(
    nano: DepthAnything3, published: Callable[..., Path]
) -> None:
    path = published(**{f"model.{SHARED_NORM.format(0)}": torch.full((32,), 7.0)})
    state = load(path).state_dict()
    assert all((state[SHARED_NORM.format(level)] == 7).all() for level in range(4))


def test_where_the_shared_norm_is_stored_under_all_names_the_level_in_use_counts(
    published: Callable[..., Path],
) -> None:
    path = published(**{f"model.{SHARED_NORM.format(level)}": torch.full((32,), float(level)) for level in range(4)})
    assert (load(path).state_dict()[SHARED_NORM.format(0)] == 3).all()


def test_published_files_are_recognised_by_their_structure(
    nano: DepthAnything3, published: Callable[..., Path]
) -> None:
    _assert_same(nano, load(published()))


def test_a_folder_with_the_published_files(nano: DepthAnything3, published: Callable[..., Path]) -> None:
    folder = published("folder/model.safetensors").parent
    (folder / "config.json").write_text('{"model_name": "da3-nano", "other": 1}')
    _assert_same(nano, load(folder))
    (folder / "config.json").write_text("{}")
    _assert_same(nano, load(str(folder)))


def test_a_checkpoint_placed_by_hand_is_found_by_name(tiny: DepthAnything3, tmp_path: Path) -> None:
    assert local_checkpoint("da3-base") is None
    (tmp_path / "placed").mkdir()
    (tmp_path / "placed" / "da3-base.safetensors").touch()
    assert local_checkpoint("da3-base") == tmp_path / "placed" / "da3-base.safetensors"


def test_a_name_is_fetched_from_its_repository(monkeypatch: pytest.MonkeyPatch, published: Callable[..., Path]) -> None:
    asked = []
    path = published()
    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", lambda url, timeout: SimpleNamespace(size=1))
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", lambda *args: asked.append(args) or str(path))
    with pytest.raises(WeightsError, match="seems to be da3-nano"):
        load("da3-large-1.1")
    assert asked == [("depth-anything/DA3-LARGE-1.1", "model.safetensors")]


def test_without_a_network_the_message_says_which_file_goes_where(tmp_path: Path) -> None:
    with pytest.raises(WeightsError) as error:
        load("da3-base")
    message = str(error.value)
    assert "(Name or service not known)" in message
    assert "https://huggingface.co/depth-anything/DA3-BASE/resolve/main/model.safetensors" in message
    assert str(tmp_path / "placed" / "da3-base.safetensors") in message
    assert "da3-nano is built in and needs no download" in message


def test_neither_a_name_nor_a_file() -> None:
    with pytest.raises(
        WeightsError, match=r"nowhere\.safetensors is neither a file nor a known model; known: da3-nano"
    ):
        load("nowhere.safetensors")


def test_a_folder_without_weights(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"model\.safetensors cannot be read: No such file"):
        load(tmp_path)


def _pickled(path: Path) -> None:
    path.write_bytes(pickle.dumps({"model.weight": [1.0]}))


def _archived(path: Path) -> None:
    torch.save({"model.weight": torch.zeros(2)}, path)


def _truncated(path: Path) -> None:
    save_checkpoint(build(ModelConfig(64, 10, 2, (3, 5, 7, 9), 8, (4, 4, 8, 8))), path)
    path.write_bytes(path.read_bytes()[:-1000])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_pickled, "is a Python pickle; only safetensors"),
        (_archived, "is a PyTorch pickle archive; only safetensors"),
        (_truncated, "is not a safetensors file, or is damaged"),
        (lambda path: path.write_bytes(b""), "is not a safetensors file, or is damaged"),
        (lambda path: path.write_bytes(b"\x00" * 64), "is not a safetensors file, or is damaged"),
        (lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\n"), "is a git-lfs pointer"),
        (lambda path: save_file({"a": torch.zeros(2, dtype=torch.int8)}, path), "a is stored as I8"),
        (lambda path: save_file({"a": torch.zeros(2)}, path), "seems to be no known variant"),
        (lambda path: save_file({"a": torch.zeros(2)}, path, {"model_config": "{"}), "header is damaged"),
        (lambda path: save_file({"a": torch.zeros(2)}, path, {"model_config": '{"depth": 3}'}), "header is damaged"),
    ],
)
def test_files_that_are_no_checkpoint(tmp_path: Path, damage: Callable[[Path], None], message: str) -> None:
    path = tmp_path / "model.safetensors"
    damage(path)
    with pytest.raises(WeightsError, match=message) as error:
        load(path)
    assert str(path) in str(error.value)


def test_a_header_whose_length_begins_like_a_pickle(tiny: DepthAnything3, tmp_path: Path) -> None:
    path = tmp_path / "tiny.safetensors"
    save_checkpoint(tiny, path)
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    padded = length + (0x80 - length) % 256
    header = content[8 : 8 + length].ljust(padded)
    path.write_bytes(padded.to_bytes(8, "little") + header + content[8 + length :])
    assert path.read_bytes().startswith(b"\x80")
    _assert_same(tiny, load(path))


def test_saved_files_can_be_read_by_others(tiny: DepthAnything3, tmp_path: Path) -> None:
    path = tmp_path / "tiny.safetensors"
    save_checkpoint(tiny, path)
    assert path.stat().st_mode & 0o444 == 0o444


def test_a_pickle_is_refused_without_being_run(tmp_path: Path) -> None:
    marker = tmp_path / "ran"

    class Payload:
        def __reduce__(self) -> tuple[object, tuple[object, ...]]:
            return Path.touch, (marker,)

    path = tmp_path / "model.safetensors"
    path.write_bytes(pickle.dumps(Payload()))
    with pytest.raises(WeightsError, match="pickle"):
        load(path)
    assert not marker.exists()


def test_weights_of_another_variant_under_a_name(published: Callable[..., Path], tmp_path: Path) -> None:
    published("placed/da3-small.safetensors")
    with pytest.raises(WeightsError) as error:
        load("da3-small")
    message = str(error.value)
    assert "blocks.10.norm1.bias is missing" in message
    assert " more. It seems to be da3-nano" in message


def test_weights_of_another_variant_beside_a_config(published: Callable[..., Path]) -> None:
    folder = published("folder/model.safetensors").parent
    (folder / "config.json").write_text('{"model_name": "da3-large"}')
    with pytest.raises(WeightsError, match=r"blocks\.10\.norm1\.weight is missing.*seems to be da3-nano"):
        load(folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"model_name": "da4-small"}', "'da4-small', which this version cannot run"),
        ("not json", "not a readable model description"),
        ("[1]", "not a readable model description"),
    ],
)
def test_a_config_that_helps_nobody(published: Callable[..., Path], text: str, message: str) -> None:
    folder = published("folder/model.safetensors").parent
    (folder / "config.json").write_text(text)
    with pytest.raises(WeightsError, match=message):
        load(folder)


def test_missing_and_unknown_parameters_are_named(published: Callable[..., Path]) -> None:
    with pytest.raises(WeightsError, match=r"cam_dec\.fc_t\.bias is missing"):
        load(published(drop="model.cam_dec.fc_t.bias"))
    with pytest.raises(WeightsError, match=r"extra\.weight is unknown"):
        load(published(**{"model.extra.weight": torch.zeros(1)}))


def test_weights_that_are_not_finite_are_not_written(tiny: DepthAnything3, tmp_path: Path) -> None:
    path = tmp_path / "tiny.safetensors"
    save_checkpoint(tiny, path)
    before = path.read_bytes()
    with torch.no_grad():
        tiny.cam_dec.fc_t.bias[0] = 1e6
    with pytest.raises(WeightsError, match=r"cam_dec\.fc_t\.bias has weights that are not finite as torch\.float16"):
        save_checkpoint(tiny, path, torch.float16)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_checkpoint_that_cannot_be_written(tiny: DepthAnything3, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="cannot be written"):
        save_checkpoint(tiny, tmp_path / "absent" / "tiny.safetensors")


def test_the_built_in_network() -> None:
    path = local_checkpoint("da3-nano")
    if path is None:
        with pytest.raises(WeightsError, match="missing from this installation"):
            load("da3-nano")
        return
    net = load("da3-nano")
    assert net.config == VARIANTS["da3-nano"].config
    assert path.stat().st_size < 25e6
    assert all(weight.isfinite().all() for weight in net.parameters())
