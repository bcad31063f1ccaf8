"""Up from a drone's XMP, as an attribute or an element; nothing from anything else."""

from __future__ import annotations

import numpy as np
import pytest

from da3_pipeline.ingest.gimbal import read_up

HEAD = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description xmlns:drone-dji="http://www.dji.com/drone-dji/1.0/" '


def attributes(pitch: str, roll: str) -> bytes:
    return HEAD + f'drone-dji:GimbalRollDegree="{roll}" drone-dji:GimbalPitchDegree="{pitch}"/>'.encode()


@pytest.mark.parametrize(
    ("pitch", "roll", "up"),
    [
        ("+0.00", "+0.00", (0, -1, 0)),
        ("-90.00", "+0.00", (0, 0, -1)),
        ("-30.0", "0", (0, -np.cos(np.pi / 6), -0.5)),
        ("0", "90", (-1, 0, 0)),  # the right side is down: up is to the left
        ("0", "-10", (np.sin(np.pi / 18), -np.cos(np.pi / 18), 0)),
    ],
)
def test_pitch_and_roll(pitch: str, roll: str, up: tuple[float, float, float]) -> None:
    assert read_up(attributes(pitch, roll)) == pytest.approx(up, abs=1e-12)


def test_elements_are_read_too() -> None:
    element = "<drone-dji:Gimbal{0}Degree>{1}</drone-dji:Gimbal{0}Degree>"
    xmp = HEAD + b">" + (element.format("Pitch", "-90.0") + element.format("Roll", "+0.0")).encode()
    assert read_up(xmp) == pytest.approx((0, 0, -1))


@pytest.mark.parametrize(
    "xmp", [b"", b"\xff\xfe", attributes("n/a", "0"), attributes("1.2.3", "0"), attributes("999", "0")]
)
def test_what_says_nothing_is_none(xmp: bytes) -> None:
    assert read_up(xmp) is None
