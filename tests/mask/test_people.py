"""The real segmentation networks of torchvision with weights made here: theirs cannot be had without a network."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from da3_pipeline.errors import InferenceError, MissingExtraError, WeightsError
from da3_pipeline.mask.people import PeopleFinder

torch = pytest.importorskip("torch")
pytest.importorskip("torchvision")

MODELS = ("deeplabv3_mobilenet_v3_large", "lraspp_mobilenet_v3_large")
LAST_LAYERS = {MODELS[0]: ("classifier.4",), MODELS[1]: ("classifier.low_classifier", "classifier.high_classifier")}
PERSON = 15
Place = Callable[[str, dict[str, Any]], Path]


def network(model: str, seed: int = 0) -> Any:
    from torchvision.models import get_model

    torch.manual_seed(seed)
    extras = {"aux_loss": True} if model == MODELS[0] else {}
    return get_model(model, weights=None, weights_backbone=None, num_classes=21, **extras).eval()


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """`hub(model, state)` puts weights where torch's hub would; nothing can be fetched."""

    def refuse(url: str, *args: object, **kwargs: object) -> None:
        raise OSError(101, "Network is unreachable")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)

    def put(model: str, state: dict[str, Any]) -> Path:
        from torchvision.models import get_model_weights

        name = get_model_weights(model)["COCO_WITH_VOC_LABELS_V1"].url.rpartition("/")[2]
        path = tmp_path / "torch" / "hub" / "checkpoints" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(state, path)
        return path

    return put


def always(model: str, winner: int) -> dict[str, Any]:
    """Weights that answer one class everywhere."""
    state = network(model).state_dict()
    for layer in LAST_LAYERS[model]:
        state[f"{layer}.weight"].zero_()
        state[f"{layer}.bias"].zero_()
    state[f"{LAST_LAYERS[model][0]}.bias"][winner] = 1
    return state


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """At the size that the weights were trained on, so that nothing resizes it."""
    coarse = np.random.default_rng(0).integers(0, 255, (9, 12, 3), np.uint8)
    Image.fromarray(coarse).resize((693, 520), Image.Resampling.BICUBIC).save(tmp_path / "picture.png")
    return tmp_path / "picture.png"


@pytest.mark.parametrize("model", MODELS)
def test_class_fifteen_is_a_person_and_nothing_else_is(model: str, hub: Place, picture: Path) -> None:
    hub(model, always(model, PERSON))
    assert PeopleFinder(model, "cpu")(picture, 693, 520).all()
    for other in (0, 14, 16):
        hub(model, always(model, other))
        assert not PeopleFinder(model, "cpu")(picture, 693, 520).any()


@pytest.mark.parametrize("model", MODELS)
def test_people_are_where_torchvisions_own_recipe_sees_them(model: str, hub: Place, picture: Path) -> None:
    """Random weights, with the bias of `person` such that it wins in a part of the picture."""
    from torchvision.models import get_model_weights

    reference = network(model)
    prepared = get_model_weights(model)["COCO_WITH_VOC_LABELS_V1"].transforms()(Image.open(picture))[None]
    _settle_statistics(reference, torch.cat([prepared, prepared.flip(3)]))
    last = reference.get_submodule(LAST_LAYERS[model][0])
    with torch.inference_mode():
        scores = reference(prepared)["out"][0]
        others = torch.cat([scores[:PERSON], scores[PERSON + 1 :]]).amax(0)
        last.bias[PERSON] += (others - scores[PERSON]).median()
        expected = reference(prepared)["out"][0].argmax(0).numpy() == PERSON
    assert 0.3 < expected.mean() < 0.7
    hub(model, reference.state_dict())
    find = PeopleFinder(model, "cpu")
    assert (find(picture, 693, 520) == expected).mean() > 0.999
    enlarged = find(picture, 3 * 693, 3 * 520)
    assert enlarged.shape == (1560, 2079) and (enlarged[1::3, 1::3] == expected).mean() > 0.999


def _settle_statistics(model: Any, batch: Any) -> None:
    """Batch normalisation with the statistics of this batch: without, random layers wipe out the picture."""
    for layer in model.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum = None
    with torch.no_grad():
        model.train()(batch)
    model.eval()


def test_without_weights_or_a_way_to_fetch_them_one_line_says_where_they_go(hub: Place, tmp_path: Path) -> None:
    with pytest.raises(WeightsError) as caught:
        PeopleFinder(MODELS[1], "cpu")
    message = str(caught.value)
    assert "https://download.pytorch.org/models/lraspp_mobilenet_v3_large-d234d4ea.pth: cannot be fetched" in message
    assert str(tmp_path / "torch" / "hub" / "checkpoints" / "lraspp_mobilenet_v3_large-d234d4ea.pth") in message
    assert "Network is unreachable" in message and "\n" not in message


@pytest.mark.parametrize("content", [b"", b"not weights", b"PK\x03\x04 not a zip"])
def test_a_damaged_file_of_weights_is_named(hub: Place, content: bytes) -> None:
    path = hub(MODELS[1], {})
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="cannot be read as weights; delete it") as caught:
        PeopleFinder(MODELS[1], "cpu")
    assert str(path) in str(caught.value)


def test_weights_of_another_network_are_named(hub: Place) -> None:
    path = hub(MODELS[1], network(MODELS[0]).state_dict())
    with pytest.raises(WeightsError, match="not the weights of lraspp_mobilenet_v3_large") as caught:
        PeopleFinder(MODELS[1], "cpu")
    assert str(path) in str(caught.value)


def test_code_in_a_file_of_weights_is_not_run(hub: Place, tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "sprung",)

    hub(MODELS[1], {"trap": Trap()})
    with pytest.raises(WeightsError):
        PeopleFinder(MODELS[1], "cpu")
    assert not (tmp_path / "sprung").exists()


def test_without_torchvision_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", None)
    monkeypatch.setitem(sys.modules, "torchvision.models", None)
    with pytest.raises(MissingExtraError, match=r"--mask-people .* pip install 'da3-pipeline\[people\]'"):
        PeopleFinder(MODELS[0], "cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_not_there_is_one_line(hub: Place) -> None:
    hub(MODELS[1], network(MODELS[1]).state_dict())
    with pytest.raises(InferenceError, match="--device cuda: cannot be used") as caught:
        PeopleFinder(MODELS[1], "cuda")
    assert "\n" not in str(caught.value)
