"""The artefacts that flow from stage to stage: frozen, no behaviour beyond reading themselves.

ingest -> Capture, select -> FrameSet, infer -> Prediction, refine -> Scene, export -> ExportResult.

Conventions: OpenCV axes, `cam_from_world` poses (3, 4), pixels of the upright original image with the
origin at the corner of the first pixel (centres at +0.5), float64 geometry, units in names.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from .arrays import Bool, Bytes, Float, Float32, Int
from .geometry.cameras import Camera, PixelMap
from .geometry.equirectangular import Panorama
from .geometry.gaussian_cloud import GaussianCloud
from .geometry.geodesy import GpsPosition
from .geometry.sensor_depth import KnownFrames, SensorDepth
from .grouping import Groups

__all__ = [
    "CandidateScore",
    "Capture",
    "Dropped",
    "ExportResult",
    "Exposure",
    "Frame",
    "FrameSet",
    "Gate",
    "GaussianCloud",
    "GpsPosition",
    "KnownFrames",
    "MetricScale",
    "NotMeasured",
    "PanoramaView",
    "Place",
    "Prediction",
    "PriorTrust",
    "RigPlace",
    "Scene",
    "SensorDepth",
    "StageRecord",
    "Tracks",
    "Verdict",
    "VideoClip",
]


@dataclass(frozen=True)
class Dropped:
    """A frame, or a file that never became one, that is left out, and why (one clause, no full stop)."""

    frame: str
    reason: str


@dataclass(frozen=True)
class Exposure:
    """How a picture was exposed; None where nobody knows.

    brightness: mean grey level as displayed, in 0..1; dark_share, bright_share: of pixels as good as black and white.
    stops: how much more light a video frame shows of the same things than the clip's first, as a power of two. time_s,
    iso, f_number: by EXIF."""

    brightness: float | None = None
    dark_share: float | None = None
    bright_share: float | None = None
    stops: float | None = None
    time_s: float | None = None
    iso: float | None = None
    f_number: float | None = None


@dataclass(frozen=True)
class RigPlace:
    """Where on a rig a frame was taken: by `sensor` at `instant`, which names the frames taken at the same time.

    cam_from_rig (3, 4): pose of the sensor in the frame of the reference sensor; None where it is to be estimated.
    """

    rig: str
    sensor: str
    instant: str
    reference: bool
    cam_from_rig: Float | None = None


@dataclass(frozen=True)
class PanoramaView:
    """The panorama that a frame was rendered from: its name and file in the capture, the part of the sphere that it
    shows, a mask of what is used of it, and the rotation (3, 3) from its axes into the frame's camera."""

    name: str
    path: Path
    area: Panorama
    mask: Path | None
    view_from_panorama: Float


@dataclass(frozen=True)
class Frame:
    """One picture of the capture.

    `name` is unique in the capture: a posix path relative to it, for a video frame `<video name>/<index>.jpg`.
    `path` is the file that holds the pixels: a photograph, or the still that was extracted from a video. `width`,
    `height` and all coordinates are those of the upright image. `camera_id` is equal for frames that share one physical
    camera and lens at one image size.
    `up_in_camera`: unit vector against gravity as the device measured it, OpenCV axes of the upright image.
    `known_pose_form`: the kind of file that it was read from, 'colmap' or 'transforms'. `known_pose_program`: whose
    project told it, a prior; None: the user, to be kept. `known_pose_metric`: in metres. `depth`: by a sensor. `mask`:
    an image of any size and of the frame's shape, nonzero where it is used (`imageio.read_mask`).
    `training` is False for pose-only frames: they help the solve and are no images of the data set; `remark` is the
    clause why, or what is poor about a frame that is one all the same. `sharpness`: see `select.measures.sharpness`.
    `pixels`: what was done to those of its file to show them as players and viewers do. `lens` is equal for frames of
    one physical lens at one setting, however large and however the device was held; None where that is not known.
    `quarter_turns`: clockwise, from the stored picture to the upright one; None unknown. `panorama`: what of a sphere
    the picture shows, if it is one; there are none after selection, which renders pinhole views of them. `view_of`: the
    panorama that such a view was rendered from. `pixel_aspect`: the width of a pixel over its height.
    """

    name: str
    path: Path
    width: int
    height: int
    camera_id: str
    fingerprint: str
    time_s: float | None = None
    video: str | None = None
    exif_focal_px: float | None = None
    gps: GpsPosition | None = None
    up_in_camera: tuple[float, float, float] | None = None
    known_camera: Camera | None = None
    known_cam_from_world: Float | None = None
    known_pose_form: str | None = None
    known_pose_program: str | None = None
    known_pose_metric: bool = False
    depth: SensorDepth | None = None
    sharpness: float | None = None
    rig: RigPlace | None = None
    mask: Path | None = None
    training: bool = True
    remark: str | None = None
    exposure: Exposure | None = None
    pixels: tuple[str, ...] = ()
    lens: str | None = None
    quarter_turns: int | None = None
    panorama: Panorama | None = None
    view_of: PanoramaView | None = None
    pixel_aspect: float = 1.0


@dataclass(frozen=True)
class VideoClip:
    """A video that can be decoded. `times_s` (F,) are its presentation times, in display order.

    `width` and `height` are those of the first frame after the rotation flag. `frame_masks` are the masks of single
    frames, by number; `mask` is that of all others. `pixels`, `lens`: see `Frame`. `known_frames`: by a project.
    """

    name: str
    path: Path
    width: int
    height: int
    rotation_deg: int
    times_s: Float
    camera_id: str
    fingerprint: str
    exif_focal_px: float | None = None
    gps: GpsPosition | None = None
    known_camera: Camera | None = None
    mask: Path | None = None
    frame_masks: dict[int, Path] = field(default_factory=dict)
    pixels: tuple[str, ...] = ()
    lens: str | None = None
    panorama: Panorama | None = None
    known_frames: KnownFrames | None = None


@dataclass(frozen=True)
class Capture:
    """Everything readable in the given sources, photographs in natural order of their names.

    told: what is to be said of projects of other programs that were found there, a sentence each.
    """

    photos: tuple[Frame, ...]
    videos: tuple[VideoClip, ...]
    dropped: tuple[Dropped, ...]
    told: tuple[str, ...] = ()


@dataclass(frozen=True)
class FrameSet:
    """The chosen frames, every one a readable image file, in capture order (time within a video)."""

    frames: tuple[Frame, ...]
    dropped: tuple[Dropped, ...]

    def __len__(self) -> int:
        return len(self.frames)

    def __repr__(self) -> str:
        return f"FrameSet({len(self.frames)} frames, {len(self.dropped)} left out)"

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(frame.name for frame in self.frames)


@dataclass(frozen=True)
class MetricScale:
    """How long a unit of a world is, who says so, how sure that is (one sigma, relative); measured: by a sensor."""

    metres_per_unit: float
    relative_sigma: float
    source: str
    measured: bool = False


@dataclass(frozen=True)
class Prediction:
    """What the prior says: the network's, or a `--predictions` file's.

    depth (N, h, w) float32 z-depth along the optical axis, in the units of `cam_from_world`; <= 0 or NaN where unknown.
    conf (N, h, w) float32, higher is better, comparable within one prediction only.
    cam_from_world (N, 3, 4). pixel_maps lead from depth-map pixels to original pixels.
    cameras: one shared camera per camera_id, original pixels.
    view_intrinsics (N, 3, 3): each view's own, original pixels.
    descriptors (N, D) float32, unit length: for retrieval; None where the source has none.
    sky (N, h, w): where the source says that there is nothing but sky; None where it does not say.
    metric: the length of a unit, where the source knows it. gaussians: where asked for, in this world.
    """

    frames: FrameSet
    source: str
    depth: Float32
    conf: Float32
    cam_from_world: Float
    cameras: dict[str, Camera]
    view_intrinsics: Float
    pixel_maps: tuple[PixelMap, ...]
    descriptors: Float32 | None = None
    sky: Bool | None = None
    metric: MetricScale | None = None
    gaussians: GaussianCloud | None = None
    dropped: tuple[Dropped, ...] = ()

    def __repr__(self) -> str:
        return f"Prediction({len(self.frames)} frames by {self.source})"


@dataclass(frozen=True)
class Tracks:
    """3-D points and their observations.

    points (P, 3) world; colours (P, 3) uint8; point_error_px (P,) mean reprojection error.
    Observation k says: point `observation_point[k]` is seen in frame `observation_frame[k]` at
    `observation_xy[k]` (original pixels). A point meets a frame at most once.
    """

    points: Float
    colours: Bytes
    point_error_px: Float
    observation_point: Int
    observation_frame: Int
    observation_xy: Float

    @classmethod
    def empty(cls) -> Tracks:
        none = np.zeros(0, np.int64)
        return cls(np.zeros((0, 3)), np.zeros((0, 3), np.uint8), np.zeros(0), none, none, np.zeros((0, 2)))

    def __len__(self) -> int:
        return len(self.points)

    def by_frame(self, frames: int) -> Groups:
        """The observations of each of so many frames. Sorts: ask once, not in a loop."""
        return Groups.of(self.observation_frame, frames)

    def by_point(self) -> Groups:
        """The observations of each point. Sorts: ask once, not in a loop."""
        return Groups.of(self.observation_point, len(self))


@dataclass(frozen=True)
class Place:
    """Where in a capture something is: in words, and the names of the frames to look at, the worst first; none where
    it is everywhere."""

    words: str
    frames: tuple[str, ...] = ()


@dataclass(frozen=True)
class Gate:
    """One quality gate: `value`, which may be infinite, must be `relation` ('>=' or '<=') `limit`.

    `meaning` says what is measured. A value of NaN is a fault of this program: the gate fails, and says so.
    Of gates that fail alone: `place`, `finding`, a sentence that says what is wrong there, `consequence`, what it means
    for a trained splat, and `remedy`, the one thing to do about it.
    """

    name: str
    value: float
    relation: str
    limit: float
    passed: bool
    meaning: str
    finding: str = ""
    consequence: str = ""
    remedy: str = ""
    place: Place | None = None


@dataclass(frozen=True)
class NotMeasured:
    """A gate that was not asked, and why (one clause)."""

    gate: str
    reason: str


@dataclass(frozen=True)
class Verdict:
    """Whether the scene is good enough to train on, judged without truth.

    gates: those first that tell most of what to do when they fail. unverified: nothing speaks against the scene, but
    neither is there enough to prove it. not_measured: what does not apply to this capture. remarks: what else is to be
    known of the solution, a clause each; the summary ends with them.
    """

    passed: bool
    gates: tuple[Gate, ...]
    summary: str
    unverified: bool = False
    not_measured: tuple[NotMeasured, ...] = ()
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class CandidateScore:
    """A solution that competed.

    score in [0, 1]: share of all verified matches that agree with its poses. precision in [0, 1], at most the score:
    how exactly they agree; the largest wins.
    """

    name: str
    score: float
    precision: float
    registered: int
    median_error_px: float
    seconds: float
    chosen: bool = False


@dataclass(frozen=True)
class PriorTrust:
    """What the prior has proved on this capture, against its verified matches: True proven, False refuted or no better
    than chance, None where the capture cannot tell.

    poses: relative rotations and directions; focal: the lengths; depth: of each frame by itself. measured: the errors,
    and what chance gives, by name.
    """

    poses: bool | None = None
    focal: bool | None = None
    depth: bool | None = None
    measured: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Scene:
    """Cameras and points in one frame, with the prior that they came from.

    cam_from_world (N, 3, 4) in the order of prediction.frames, NaN for frames without a pose.
    pose_source (N,): 'refined' (bundle adjusted on verified tracks of the one component that holds together), 'guided'
    (by matches and a prior that has proved itself together, where matches alone leave something open), 'prior' (of one
    that has proved itself, or was given), 'unverified' (the prior's, which nothing speaks for) or 'none'.
    cameras: by camera_id, original pixels.
    depth_scale (N,): multiplies prediction.depth into scene units; NaN where it could not be found.
    metric: the length of a unit of the scene and who says so; None where nothing does. up_source: who says that +z
    is up in this world ('gps', 'cameras', ...); None where the world has no known up. trust: in the prior.
    unverified: by name of a frame that nothing verified, the clause why. other_places: names of those among them that
    match each other, a group for each place that they may show, the largest first. torn: by name of a frame of a
    part whose size beside the rest nothing fixes, the clause why.
    """

    prediction: Prediction
    cameras: dict[str, Camera]
    cam_from_world: Float
    pose_source: tuple[str, ...]
    tracks: Tracks
    depth_scale: Float
    verdict: Verdict
    candidates: tuple[CandidateScore, ...]
    metric: MetricScale | None = None
    up_source: str | None = None
    dropped: tuple[Dropped, ...] = ()
    figures: dict[str, float] = field(default_factory=dict)
    trust: PriorTrust = field(default_factory=PriorTrust)
    unverified: dict[str, str] = field(default_factory=dict)
    other_places: tuple[tuple[str, ...], ...] = ()
    torn: dict[str, str] = field(default_factory=dict)

    @property
    def frames(self) -> tuple[Frame, ...]:
        return self.prediction.frames.frames

    def __repr__(self) -> str:
        """One line: the arrays of a whole capture would bury it in a notebook."""
        posed = sum(source not in ("none", "unverified") for source in self.pose_source)
        cameras = f"{len(self.cameras)} camera{'' if len(self.cameras) == 1 else 's'}"
        shown = f"{posed} of {len(self.frames)} frames posed, {cameras}, {len(self.tracks)} tracks"
        return f"Scene({shown}: {self.verdict.summary})"


@dataclass(frozen=True)
class StageRecord:
    """What a stage cost. `reused` when its artefact came from an earlier run of the same session.

    cpu_seconds: of all threads; None where an earlier version did not note it.
    """

    name: str
    seconds: float
    peak_memory_mb: float
    reused: bool
    cpu_seconds: float | None = None


@dataclass(frozen=True)
class ExportResult:
    """What was written into the output folder.

    image_names: frame name to its path below images/. masked_share: share of an image that the frame's mask ignores,
    by frame name, for frames with a mask. figures: counts for the report, by name.
    """

    folder: Path
    images: int
    tracks: int
    seed_points: int
    dropped: tuple[Dropped, ...] = ()
    image_names: dict[str, str] = field(default_factory=dict)
    masked_share: dict[str, float] = field(default_factory=dict)
    figures: dict[str, float] = field(default_factory=dict)
