"""A part whose size beside the rest nothing fixes leaves the scene, and the rest is solved and judged for itself.

A walk that ends in a pan, on the spot, is solved as one, and torn (see `parts`): matches across agree with any size of
the pan, and the points that both see hold on too few of its frames to tell. What is left of such a capture is a
capture: it is solved as if the part had never been filmed, and takes the scene's place only where it passes every gate.
The frames of the part stay in the scene, unverified, with the reason; and the scene is good only where they are few:
what was filmed is what is asked about.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..arrays import Bool, Float
from ..geometry import align_cameras
from ..types import Frame, Place, Prediction, Scene
from .config import QualityConfig, RefineConfig
from .solve.parts import torn_off
from .solve.problem import Estimate, Problem
from .verdict.folds import Cut
from .verdict.places import across, short_name
from .verdict.traces import Traces

__all__ = [
    "asked_of_rest",
    "beside_the_rest",
    "fewest_remaining",
    "held_to_all",
    "images_held",
    "said_of_part",
    "torn_part",
    "what_remains",
    "why_torn",
]

_GATE, _SHARE = "points across", "refined share"
_CONSEQUENCE = "a trainer sees the rest alone"


def torn_part(problem: Problem, judged: Estimate, kept: Bool, config: RefineConfig) -> Bool:
    """(N,) the frames whose size beside the rest nothing fixes; none where too few would be left.

    judged: poses of the frames that the solution holds. kept (M,): observations that agree. Frames that it does not
    hold belong to the part if more of their matches lead there than to the rest, any if all do. Given poses and rigs
    say sizes.
    """
    nothing = np.zeros(problem.num_frames, bool)
    if problem.given_poses or problem.rigs is not None:
        return nothing
    quality = config.quality
    fewest = quality.least_remaining * problem.num_frames
    part = torn_off(problem, judged, kept, quality.min_points_across_of_rest, fewest, config.solve.parts)
    if not part.any():
        return nothing
    leads = problem.matches.frames[problem.matches.pair]
    to_part, to_rest = (
        np.bincount(leads[side[leads[:, ::-1]]], minlength=problem.num_frames) for side in (part, judged.posed & ~part)
    )
    return part | ((to_part > to_rest) & (~judged.posed | (to_rest == 0)))


def why_torn(traces: Traces, part: Bool) -> str:
    """The clause of what its frames (N,) lack, and what to film."""
    refined = traces.assembly.refined
    place = across(lambda _: Cut(0.0, refined & ~part, refined & part))(traces, 0.0)
    lack = "the points that this part and the rest both see do not fix how large it is"
    return f"{lack}: add images between {place.words}, a small step apart and a step aside"


def asked_of_rest(config: RefineConfig) -> RefineConfig:
    """With the gate that a rest must pass, which was chosen so that it does: it must hold as right captures do."""
    least = max(config.quality.min_points_across, config.quality.min_points_across_of_rest)
    quality = config.quality.model_copy(update={"min_points_across": least})
    return config.model_copy(update={"quality": quality})


def fewest_remaining(prediction: Prediction, quality: QualityConfig) -> int:
    """Images that the rest must hold."""
    return int(np.ceil(quality.least_remaining * len(_images(prediction.frames.frames))))


def what_remains(scene: Scene, fewest: int) -> frozenset[str]:
    """Names of the frames beside the torn part of a scene that fails for it; empty where they hold too little.

    fewest: images that they must hold.
    """
    torn = scene.torn.keys()
    fails = any(gate.name == _GATE and not gate.passed for gate in scene.verdict.gates)
    if not (torn and fails and len(images_held(scene) - torn) >= fewest):
        return frozenset()
    return frozenset(frame.name for frame in scene.frames) - torn


def images_held(scene: Scene) -> frozenset[str]:
    """Names of the images that the scene holds by their tracks."""
    sources = zip(scene.frames, scene.pose_source, strict=True)
    return _images(scene.frames) & {frame.name for frame, source in sources if source == "refined"}


def beside_the_rest(whole: Scene, rest: Scene, place_from: int) -> Scene:
    """The scene of the rest with the frames of the torn part of `whole` beside it, which nothing verifies.

    They lie to the rest as they did in `whole`. place_from: frames from which they may be tried as a data set.
    """
    names, of_rest = [frame.name for frame in whole.frames], {frame.name: k for k, frame in enumerate(rest.frames)}
    inside = np.array([name in of_rest for name in names])
    poses, scales = _moved(whole, rest, inside)
    sources = np.where(np.isfinite(poses).all((1, 2)), "unverified", "none").astype(object)
    sources[inside] = rest.pose_source
    places = (*rest.other_places, tuple(whole.torn)) if len(whole.torn) >= place_from else rest.other_places
    told, torn = rest.unverified | whole.torn, rest.torn | whole.torn
    return replace(
        rest,
        prediction=_joined(whole.prediction, rest.prediction, of_rest),
        cameras=whole.cameras | rest.cameras,
        cam_from_world=poses,
        pose_source=tuple(sources.tolist()),
        depth_scale=scales,
        tracks=replace(rest.tracks, observation_frame=np.flatnonzero(inside)[rest.tracks.observation_frame]),
        dropped=whole.dropped,
        unverified={name: told[name] for name in names if name in told},
        other_places=tuple(sorted(places, key=len, reverse=True)),
        torn={name: torn[name] for name in names if name in torn},
    )


def held_to_all(scene: Scene, quality: QualityConfig) -> Scene:
    """The scene; one that passes without the parts that were torn off is flagged if these are too much of it."""
    images, torn = _images(scene.frames), list(scene.torn)
    share = len(images_held(scene)) / max(len(images), 1)
    if not torn or not scene.verdict.passed or share >= quality.min_refined_share:
        return scene
    finding = f"only {share:.0%} of the images are held: {scene.torn[torn[0]].partition(':')[0]}"
    remedy = scene.torn[torn[0]].partition(": ")[2]
    place = Place(_span(torn), tuple(torn))
    gates = tuple(
        replace(gate, value=share, passed=False, finding=finding, consequence=_CONSEQUENCE, remedy=remedy, place=place)
        if gate.name == _SHARE
        else gate
        for gate in scene.verdict.gates
    )
    said = f"below the gates: {finding}; {remedy} ({_SHARE} {share:.3g}, needed >= {quality.min_refined_share:.3g})"
    summary = "; ".join((said, *scene.verdict.remarks))
    return replace(scene, verdict=replace(scene.verdict, passed=False, gates=gates, summary=summary))


def said_of_part(whole: Scene, place_from: int) -> str:
    """What the verdict of the rest says of the images of the torn part of `whole`; empty without any."""
    images = _images(whole.frames)
    lost = [name for name in whole.torn if name in images]
    if not lost:
        return ""
    span = _span(lost)
    split = "; --split tries them as a data set" if len(whole.torn) >= place_from else ""
    return f"{len(lost)} of {len(images)} images left out, {span}: {whole.torn[lost[0]]}{split}"


def _span(names: Sequence[str]) -> str:
    return " to ".join(dict.fromkeys((short_name(names[0]), short_name(names[-1]))))


def _moved(whole: Scene, rest: Scene, inside: Bool) -> tuple[Float, Float]:
    """Poses and depth scales of all frames in the world of the rest. inside (N,): frames of the rest."""
    refined = np.array([source == "refined" for source in whole.pose_source])
    both = refined[inside] & np.array([source == "refined" for source in rest.pose_source])
    to_rest = align_cameras(whole.cam_from_world[inside][both], rest.cam_from_world[both])
    poses, scales = to_rest.apply_to_cameras(whole.cam_from_world), whole.depth_scale * to_rest.scale
    poses[inside], scales[inside] = rest.cam_from_world, rest.depth_scale
    return poses, scales


def _joined(whole: Prediction, rest: Prediction, of_rest: dict[str, int]) -> Prediction:
    """What was predicted of all frames, with what became of the frames, poses and cameras of the rest."""
    frames, poses = list(whole.frames.frames), np.array(whole.cam_from_world)
    for index, frame in enumerate(frames):
        if frame.name in of_rest:
            frames[index] = rest.frames.frames[of_rest[frame.name]]
            poses[index] = rest.cam_from_world[of_rest[frame.name]]
    chosen = replace(whole.frames, frames=tuple(frames))
    return replace(whole, frames=chosen, cam_from_world=poses, cameras=whole.cameras | rest.cameras)


def _images(frames: tuple[Frame, ...]) -> frozenset[str]:
    """Names of those that the data set shows to a trainer; all where selection kept none for that."""
    training = frozenset(frame.name for frame in frames if frame.training)
    return training or frozenset(frame.name for frame in frames)
