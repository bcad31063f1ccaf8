"""A session keeps the network that it began with, whatever can be had by now."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from da3_pipeline import pipeline
from da3_pipeline.config import PipelineConfig
from da3_pipeline.model.checkpoints import automatic
from da3_pipeline.model.checkpoints.automatic import AutomaticChoice
from da3_pipeline.progress import SilentProgress
from da3_pipeline.storage.store import Session

Network = Callable[..., str]


@pytest.fixture
def network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Network:
    """`network(**infer)`: what a run of one and the same session shows its frames to; `best`: what auto could be."""

    def used(best: str, overwrite: bool = False, **infer: Any) -> str:
        monkeypatch.setattr(automatic, "automatic_network", lambda on_gpu, announce: AutomaticChoice(best, "here"))
        with Session.open(tmp_path / "session", overwrite=overwrite) as session:
            (session.stills).mkdir(exist_ok=True)  # as after an ingest: the session stays
            (session.stills / "0.png").touch()
            stages = pipeline._Stages(session, SilentProgress())
            return pipeline._with_network(stages, PipelineConfig.model_validate({"infer": infer})).infer.model

    return used


def test_a_resume_does_not_change_networks_and_overwrite_asks_anew(network: Network) -> None:
    assert network("da3-nano") == "da3-nano"
    assert network("da3-base") == "da3-nano"
    assert network("da3-base", overwrite=True) == "da3-base"
    assert network("da3-nano") == "da3-base"


def test_what_was_asked_for_by_name_is_kept_by_auto_too(network: Network) -> None:
    assert network("da3-nano", model="da3-large") == "da3-large"
    assert network("da3-nano") == "da3-large"
    assert network("da3-nano", model="da3-small") == "da3-small", "a name says it anew"


@pytest.mark.parametrize("infer", [{"gaussians": True}, {"predictions": "file.npz"}])
def test_nothing_is_fetched_where_it_would_not_be_used(network: Network, infer: dict[str, Any]) -> None:
    assert network("da3-base", **infer) == "da3-nano"


def test_predictions_leave_no_network_behind(network: Network) -> None:
    network("da3-base", predictions="file.npz")
    assert network("da3-small") == "da3-small"


def test_auto_is_the_network_by_name_to_the_last_fingerprint(rendered_capture: Path, tmp_path: Path) -> None:
    """What is done under one is found done under the other; the report says what it was."""
    first = pipeline.run(rendered_capture / "images", tmp_path / "session")
    assert first.scene.prediction.source == "da3-nano"
    assert '"model": "da3-nano"' in (tmp_path / "session" / "report.json").read_text()
    (tmp_path / "session" / ".da3" / "network.json").unlink()
    named = PipelineConfig.model_validate({"infer": {"model": "da3-nano"}})
    assert all(
        stage.reused for stage in pipeline.run([rendered_capture / "images"], tmp_path / "session", named).stages
    )
