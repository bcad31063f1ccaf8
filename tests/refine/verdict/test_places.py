"""Every gate that fails says where, what it means and what to do: on a scene that is broken there and nowhere else."""

from __future__ import annotations

import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np
import pytest
from scenes import Make, Synthetic, with_lookalike

from da3_pipeline.arrays import Bool, Float
from da3_pipeline.geometry import centres
from da3_pipeline.refine import RefineConfig
from da3_pipeline.refine.assembly import Assembly
from da3_pipeline.refine.config import QualityConfig
from da3_pipeline.refine.solve.priors import priors_of
from da3_pipeline.refine.solve.problem import Estimate, Problem
from da3_pipeline.refine.solve.rounds import fit_points
from da3_pipeline.refine.verdict.evidence import gather_evidence
from da3_pipeline.refine.verdict.explanations import EXPLANATIONS
from da3_pipeline.refine.verdict.gates import Evidence, judge_evidence
from da3_pipeline.refine.verdict.places import EVERYWHERE
from da3_pipeline.types import Frame, Gate, PriorTrust, Verdict

CONFIG = RefineConfig()
CONFIG = CONFIG.model_copy(update={"solve": CONFIG.solve.model_copy(update={"observations_per_frame": 250})})


@dataclass(frozen=True)
class Broken:
    """A solution to be judged, the truth but for what is said, by limits that it fails."""

    capture: Synthetic
    problem: Problem | None = None
    poses: Float | None = None
    focal: dict[str, float] | None = None
    refined: Bool | None = None
    scales: Float | None = None
    held: bool = False

    def verdict(self, **limits: float) -> Verdict:
        problem = self.problem or self.capture.problem()
        poses = self.capture.cam_from_world if self.poses is None else self.poses
        cameras = {
            name: replace(camera, params=((self.focal or {}).get(name, 1.0) * camera.params[0], *camera.params[1:]))
            for name, camera in self.capture.truth.cameras.items()
        }
        fit = fit_points(problem, Estimate(poses, cameras), 1.0, 4.0)
        refined = np.ones(problem.num_frames, bool) if self.refined is None else self.refined
        kept = fit.kept & refined[problem.observations.frame]
        assembly = Assembly(fit, refined, np.zeros_like(refined), kept, poses, 1.0, 1)
        scales = np.ones(problem.num_frames) if self.scales is None else self.scales
        held_by = priors_of(problem, CONFIG.priors) if self.held else None
        evidence, traces = gather_evidence(
            self.capture.prediction, problem, assembly, scales, held_by, PriorTrust(True, True, True), CONFIG
        )
        return judge_evidence(evidence, QualityConfig(**limits), traces)  # type: ignore[arg-type]


def shifted(capture: Synthetic, frames: slice, far: float = 1.0) -> Float:
    """The true poses, but for these frames, which stand elsewhere together."""
    poses = capture.cam_from_world.copy()
    poses[frames, :, 3] += far * poses[frames, :, :3] @ [0.5, 1.0, 0.0]
    return poses


def turned(capture: Synthetic, frame: int) -> Float:
    poses = capture.cam_from_world.copy()
    poses[frame] = cv2.Rodrigues(np.radians([0.1, 0.0, 0.0]))[0] @ poses[frame]
    return poses


def noisy(problem: Problem, frame: int, sigma_px: float, share: float = 1.0) -> Problem:
    rng, observations = np.random.default_rng(5), problem.observations
    chosen = (observations.frame == frame) & (rng.random(len(observations)) < share)
    moved = observations.xy + np.where(chosen[:, None], sigma_px * rng.standard_normal((len(chosen), 2)), 0.0)
    return problem.with_observations(replace(observations, xy=moved))


def cornered(problem: Problem, frames: list[int]) -> Problem:
    """These frames have observations in one quarter of the picture alone."""
    observations = problem.observations
    inside = (observations.xy < problem.size_px[observations.frame] / 2).all(axis=1)
    return problem.with_observations(observations.subset(inside | ~np.isin(observations.frame, frames)))


def apart(problem: Problem, frame: int, partners: list[int]) -> Problem:
    """One frame shares points with these partners alone, who share others with everybody else."""
    observations = problem.observations
    own = observations.track % 2 == 1
    kept = np.where(own, np.isin(observations.frame, [frame, *partners]), observations.frame != frame)
    return problem.with_observations(observations.subset(kept))


def street(make: Make) -> Synthetic:
    """Along a straight line, each frame sees what its neighbours see."""
    return make(frames=16, layout="line", spread=9.0, points=3000, false_matches=0.0)


def resized(capture: Synthetic, frame: int, scale: float) -> Float:
    """The true poses, but for those from this frame on, which stand closer together: nearer to it by `scale`."""
    poses, places = capture.cam_from_world.copy(), centres(capture.cam_from_world)
    moved = places[frame] + scale * (places - places[frame])
    poses[frame:, :, 3] = -np.einsum("nij,nj->ni", poses[frame:, :, :3], moved[frame:])
    return poses


def filmed(capture: Synthetic) -> Synthetic:
    def timed() -> Iterator[Frame]:
        for k, frame in enumerate(capture.frames):
            yield replace(frame, video="clip.mp4", time_s=0.5 * k)

    return capture.with_frames(timed())


def clean(make: Make, frames: int = 14, **changes: object) -> Synthetic:
    return make(frames=frames, false_matches=0.0, **changes)


def told(capture: Synthetic, ratio: float) -> Problem:
    """EXIF tells the focal length of the portraits, and it is off by so much."""
    return replace(capture.problem(), exif_focal_px={"portrait": ratio * capture.truth.cameras["portrait"].focal_px})


def guessed(capture: Synthetic, ratio: float) -> Problem:
    """The prior thinks the portraits' focal length so much longer than it is, and the landscapes' right."""
    problem, cameras = capture.problem(), dict(capture.truth.cameras)
    portrait = cameras["portrait"]
    cameras["portrait"] = replace(portrait, params=(ratio * portrait.params[0], *portrait.params[1:]))
    return replace(problem, prior=replace(problem.prior, cameras=cameras))


def check(scene: Broken, gate: str, **limits: float) -> tuple[Gate, tuple[int, ...]]:
    """The gate, which must fail, and the frames that it names."""
    (found,) = (one for one in scene.verdict(**limits).gates if one.name == gate)
    assert not found.passed and found.place is not None
    names = [frame.name for frame in scene.capture.frames]
    return found, tuple(names.index(name) for name in found.place.frames)


Case = tuple[Callable[[Make], Broken], dict[str, float], Callable[[tuple[int, ...]], bool]]

ODD = (1, 3, 5, 7, 9, 11, 13)


def exactly(*frames: int) -> Callable[[tuple[int, ...]], bool]:
    return lambda found: found == frames


def first(*frames: int) -> Callable[[tuple[int, ...]], bool]:
    return lambda found: set(found[: len(frames)]) == set(frames)


def one(make: Make, frame: int, sigma_px: float, share: float = 1.0, frames: int = 14) -> Broken:
    """The observations of one frame are noisier than the others."""
    capture = clean(make, frames, noise_px=0.2)
    return Broken(capture, noisy(capture.problem(), frame, sigma_px, share))


def lonely(make: Make, frames: int = 14) -> Broken:
    """Frame 3 shares its points with its next neighbours alone."""
    capture = clean(make, frames)
    return Broken(capture, apart(capture.problem(), 3, [2, 4]))


def corner(make: Make, frames: list[int], count: int = 14) -> Broken:
    capture = clean(make, count)
    return Broken(capture, cornered(capture.problem(), frames))


def placed(make: Make, poses: Callable[[Synthetic], Float], **changes: object) -> Broken:
    capture = clean(make)
    return replace(Broken(capture, poses=poses(capture)), **changes)  # type: ignore[arg-type]


CASES: dict[str, Case] = {
    "refuted neighbours": (lambda make: Broken(with_lookalike(clean(make).filmed(), 6, 7)), {}, exactly(6, 7)),
    "bare views": (
        lambda make: Broken(bare := clean(make), apart(bare.problem(), 5, [0, 1, 10, 11, 12, 13])),
        {},
        lambda found: 5 in found[:2] and set(found) <= {2, 3, 4, 5, 6, 7, 8},
    ),
    "refuted overlap": (
        lambda make: Broken(with_lookalike(clean(make), 2, 5)),
        {"max_refuted_overlap": 0.005},
        exactly(2, 5),
    ),
    "look-alikes": (
        lambda make: Broken(with_lookalike(clean(make), 1, 11)),
        {"max_look_alikes": 0.002},
        exactly(1, 11),
    ),
    "weakest cut": (
        lambda make: placed(make, lambda capture: shifted(capture, slice(10, None))),
        {},
        lambda found: len(found) == 2 and min(found) < 10 <= max(found),
    ),
    "points across": (
        lambda make: Broken(line := street(make), poses=resized(line, 8, 0.2)),
        {},
        lambda found: 8 in found and set(found) <= {7, 8, 9},
    ),
    "scale jump": (
        lambda make: Broken(clean(make), scales=np.where(np.arange(14) < 6, 1.0, 3.0)),
        {},
        exactly(5, 6),
    ),
    "speed jump": (
        lambda make: Broken(leap := filmed(clean(make)), poses=shifted(leap, slice(9, None), far=20.0)),
        {"max_speed_jump": 5.0},
        exactly(8, 9),
    ),
    "image motion": (lambda make: Broken(clean(make)), {"min_image_motion": 9.0}, exactly()),
    "refined share": (
        lambda make: Broken(clean(make), refined=np.arange(14) % 5 != 2),
        {},
        exactly(2, 7, 12),
    ),
    "weakest frames": (lambda make: placed(make, lambda capture: shifted(capture, slice(11, 13))), {}, first(11, 12)),
    "odd frame": (lambda make: placed(make, lambda capture: shifted(capture, slice(6, 7))), {}, exactly(6)),
    "match agreement": (
        lambda make: Broken(with_lookalike(clean(make), 2, 5)),
        {"min_agreement": 0.999},
        first(2, 5),
    ),
    "focal vs EXIF": (lambda make: Broken(exif := clean(make), told(exif, 2.0)), {}, exactly(*ODD)),
    "focal vs prior": (lambda make: Broken(prior := clean(make), guessed(prior, 3.0)), {}, exactly(*ODD)),
    "narrow view": (lambda make: Broken(clean(make), focal={"portrait": 6.0}), {}, exactly(*ODD)),
    "wide view": (lambda make: Broken(clean(make), focal={"portrait": 0.2}), {}, exactly(*ODD)),
    "halves, rotation": (lambda make: one(make, 4, 3.0), {"max_halves_deg": 0.001}, first(4)),
    "halves, position": (lambda make: one(make, 4, 3.0), {"max_halves_position": 1e-5}, first(4)),
    "parallax": (lonely, {"min_parallax_deg": 90.0}, first(3)),
    "observations": (lambda make: corner(make, [3, 8]), {"min_observations": 1e6}, first(3, 8)),
    "track length": (lonely, {"min_track_length": 50.0}, first(3)),
    "cells covered": (lambda make: corner(make, [3, 8]), {"min_cells": 0.999}, first(3, 8)),
    "held-out error": (lambda make: one(make, 4, 3.0), {"max_held_out_px": 0.01}, first(4)),
    "median error": (lambda make: one(make, 4, 1.5), {"max_median_error_px": 0.01}, first(4)),
    "p95 error": (lambda make: one(make, 4, 3.0, share=0.4), {"max_p95_error_px": 0.4}, first(4)),
    "known focal": (
        lambda make: Broken(pair := clean(make, 2), replace(pair.problem(), known_cameras=frozenset({"landscape"}))),
        {},
        exactly(1),
    ),
    "cropped pictures": (
        lambda make: Broken(some := clean(make, 6), replace(some.problem(), known_cameras=frozenset({"portrait"}))),
        {},
        exactly(1, 3, 5),
    ),
    "relief": (lambda make: Broken(clean(make, 2, surface="plane")), {}, first(0, 1)),
    "points of two views": (lambda make: Broken(clean(make, 2)), {"min_pair_observations": 1e6}, first(0, 1)),
    "parallax of two views": (lambda make: Broken(clean(make, 2)), {"min_pair_parallax_deg": 179.0}, first(0, 1)),
    "linking points": (lambda make: corner(make, [3], count=6), {"min_linking_points": 1e6}, first(3)),
    "weakest of few views": (
        lambda make: Broken(with_lookalike(clean(make, 6), 2, 3)),
        {"min_few_weakest": 0.99},
        lambda found: found[0] in (2, 3),
    ),
    "agreement of few views": (
        lambda make: Broken(with_lookalike(clean(make, 4), 2, 3)),
        {"min_few_agreement": 0.999},
        first(2, 3),
    ),
    "parts of the scene": (lambda make: one(make, 3, 3.0, frames=6), {"max_scatter_deg": 1e-3}, first(3)),
    "focal uncertainty": (lambda make: corner(make, [1, 3, 5], count=6), {"max_focal_sigma": 1e-9}, exactly(1, 3, 5)),
    "free lens": (
        lambda make: Broken(bent := clean(make, 6, noise_px=0.2), poses=turned(bent, 2)),
        {"max_let_bend_deg": 0.05},
        first(2),
    ),
    "parallax of few views": (lambda make: lonely(make, 6), {"min_few_parallax_deg": 90.0}, first(3)),
    "let go, rotation": (
        lambda make: Broken(held := clean(make, 6, noise_px=0.2), poses=turned(held, 2), held=True),
        {"max_let_go_deg": 0.05},
        first(2),
    ),
    "let go, focal": (
        lambda make: Broken(clean(make, 8, noise_px=0.3), focal={"portrait": 1.15}, held=True),
        {},
        exactly(1, 3, 5, 7),
    ),
}


@pytest.mark.parametrize("gate", CASES)
def test_a_gate_that_fails_names_the_frames_where_the_scene_is_broken(make_capture: Make, gate: str) -> None:
    make, limits, right = CASES[gate]
    found, frames = check(make(make_capture), gate, **limits)
    assert right(frames), frames
    assert found.place is not None and (found.place == EVERYWHERE) == (not frames)
    pairs = found.place.words.split(", ")
    assert len(pairs) == len({frozenset(pair.split(" and ")) for pair in pairs}), "each pair is named once"
    if "{where}" in EXPLANATIONS[gate].finding:
        assert found.place.words in found.finding


def test_every_gate_is_explained_and_has_a_scene_in_which_it_fails() -> None:
    """What a gate measures, what it means, what to do, and where: nobody can add one without."""
    everything = judge_evidence(
        Evidence(2, *np.full(len(vars(Evidence(0, 0.0))) - 1, np.nan).tolist()), QualityConfig()
    )
    assert {gate.name for gate in everything.gates} == EXPLANATIONS.keys() == CASES.keys()
    for about in EXPLANATIONS.values():
        assert min(len(text) for text in (about.meaning, about.finding, about.consequence, about.remedy)) > 10
        assert not (about.finding + about.consequence + about.remedy).endswith(".")
        for text in (about.finding, about.remedy):
            assert not text.startswith("{where}"), (
                "the report begins sentences with a capital letter, names keep theirs"
            )
            assert {field for _, field, _, _ in string.Formatter().parse(text)} <= {"where", None}
        assert "{" not in about.consequence + about.meaning


def test_gates_that_pass_need_no_help_and_those_that_fail_without_traces_mean_all(make_capture: Make) -> None:
    good = judge_evidence(Evidence(20, 1.0), QualityConfig())
    assert good.gates[0].place is None and not good.gates[0].finding and not good.gates[0].remedy
    (bad,) = judge_evidence(Evidence(20, 0.0), QualityConfig()).gates
    assert bad.place == EVERYWHERE and "the whole capture" in bad.finding and bad.consequence and bad.remedy


def test_what_tells_a_cause_comes_before_what_follows_from_it(make_capture: Make) -> None:
    capture = clean(make_capture).filmed()
    verdict = Broken(capture, poses=shifted(capture, slice(10, None))).verdict()
    failed = [gate.name for gate in verdict.gates if not gate.passed]
    assert failed[0] == "refuted neighbours"
    assert failed.index("weakest cut") < failed.index("match agreement")
    assert verdict.summary.startswith("below the gates: torn apart: ")
    assert all(gate in verdict.summary for gate in failed)


def test_frames_of_videos_are_told_by_their_time_and_long_names_in_short(make_capture: Make) -> None:
    capture = filmed(clean(make_capture))
    leap, _ = check(Broken(capture, poses=shifted(capture, slice(9, None), far=20.0)), "speed jump", max_speed_jump=5.0)
    assert "between clip.mp4 at 4.0 s and clip.mp4 at 4.5 s" in leap.finding
    long = capture.with_frames(
        replace(f, video=None, name=f"in/{'x' * 30}-{k:03d}-{'y' * 30}.jpg") for k, f in enumerate(capture.frames)
    )
    step, _ = check(Broken(long, scales=np.where(np.arange(14) < 6, 1.0, 3.0)), "scale jump")
    assert step.place is not None and step.place.frames[0] == long.frames[5].name
    assert step.place.words == " and ".join(["xxxxxxxxxxxxxxxx…yyyyyyyyyyyy.jpg"] * 2)
