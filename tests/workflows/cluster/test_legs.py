from __future__ import annotations

from typing import Any

import pytest
from da3_workflows.cluster.legs import Leg, legs_of

from da3_pipeline.config import PipelineConfig

CPU, GPU = False, True
THREE = (Leg("select", CPU), Leg("infer", GPU), Leg("", CPU))


@pytest.mark.parametrize(
    ("settings", "legs"),
    [
        ({}, THREE),
        ({"refine": {"matcher": "disk"}}, (Leg("select", CPU), Leg("", GPU))),
        ({"refine": {"matcher": "disk", "refine": False}}, THREE),
        ({"refine": {"matcher": "disk", "device": "cpu"}}, THREE),
        ({"mask": {"people": True}}, (Leg("infer", GPU), Leg("", CPU))),
        ({"mask": {"people": True, "device": "cpu"}}, THREE),
        ({"mask": {"people": True}, "refine": {"matcher": "xfeat"}}, (Leg("", GPU),)),
        ({"infer": {"device": "cpu"}}, (Leg("", CPU),)),
        ({"infer": {"predictions": "given.npz"}}, (Leg("", CPU),)),
    ],
)
def test_stages_that_want_a_gpu_are_told_from_those_that_do_not(
    settings: dict[str, Any], legs: tuple[Leg, ...]
) -> None:
    config = PipelineConfig.model_validate(settings).model_dump(mode="json")
    assert legs_of(config, has_gpus=True) == legs
    assert legs_of(config, has_gpus=False) == (Leg("", CPU),)
