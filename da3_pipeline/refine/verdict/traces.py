"""What the evidence was measured on, frame by frame: so that a gate that fails can say where."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ...arrays import Bool, Float, Int
from ...types import Frame
from ..assembly import Assembly
from ..config import SolveConfig
from ..solve.adjustment import focal_sigmas
from ..solve.parts import Seam
from ..solve.problem import Estimate, Problem
from ..solve.rounds import Fit
from ..solve.score import AGREE_PX, frame_agreement
from .folds import Cut
from .halves import Spread
from .held_out import HeldOut
from .jackknife import Scatter
from .jumps import Jump
from .uncertainty import LetGo

__all__ = ["FewViews", "Traces"]


@dataclass(frozen=True)
class FewViews:
    """What few views were asked with: the thinned problem and its fit, and where freed lenses and cameras went."""

    problem: Problem
    fit: Fit | None = None
    bent: LetGo | None = None
    let_go: LetGo | None = None


@dataclass(frozen=True)
class Traces:
    """What the evidence was measured on; None where it could not be.

    judged: the refined frames alone. wanted (N,): frames that should be refined. errors_px (M,): of matches.
    spread_deg: by track, 0 unknown. cells (N,): share of each image that tracks cover. torn, doubled, alike (K,):
    numbers of pairs of matches (see `contradictions`). bare (K, 2): pairs of frames. exif, prior: by camera, the ratio
    of its focal length to that one, where the gates ask for it.

    The properties are figures (N,) of the frames, NaN where there is none.
    """

    frames: tuple[Frame, ...]
    problem: Problem
    assembly: Assembly
    judged: Estimate
    wanted: Bool
    errors_px: Float
    spread_deg: Float
    cells: Float
    held_out: HeldOut
    torn: Int
    doubled: Int
    alike: Int | None
    bare: Int
    exif: dict[str, float]
    prior: dict[str, float]
    solve: SolveConfig
    cut: Cut | None = None
    seam: Seam | None = None
    halves: Spread | None = None
    speed: Jump | None = None
    scale: Jump | None = None
    scatter: Scatter | None = None
    few: FewViews | None = None

    @property
    def cropped(self) -> Int:
        """Numbers of the frames whose camera nobody gave and `off_centre` found: cropped to one side."""
        held = [self.problem.camera_of(k) in self.problem.known_cameras for k in range(len(self.frames))]
        return np.flatnonzero(np.array(held) & [frame.known_camera is None for frame in self.frames])

    @property
    def agreement(self) -> Float:
        return self._refined(frame_agreement(self.problem, self.errors_px))

    @property
    def usual_agreement(self) -> Float:
        """Over that of the median frame."""
        agreement = self.agreement
        usual = float(np.nanmedian(agreement)) if np.isfinite(agreement).any() else 0.0
        return agreement / usual if usual > 0 else np.full(len(agreement), np.nan)

    @property
    def observations(self) -> Float:
        return self._refined(np.bincount(self._kept_frames, minlength=len(self.frames)))

    @property
    def error_px(self) -> Float:
        """The median."""
        return self._of_frames(ndimage.median, self.assembly.fit.errors_px[self.assembly.kept], self._kept_frames)

    def large_errors(self, error_px: float) -> Float:
        """Share of observations with a larger error."""
        large = self.assembly.fit.errors_px[self.assembly.kept] > error_px
        return self._of_frames(ndimage.mean, large.astype(float), self._kept_frames)

    @property
    def held_out_px(self) -> Float:
        """The median; behind the camera counts as farther than anything."""
        endless = np.finfo(float).max / 4  # of which there is a median
        return self._of_frames(ndimage.median, np.minimum(self.held_out.errors_px, endless), self.held_out.frame)

    @property
    def track_length(self) -> Float:
        """Frames that see a point of this one, the mean."""
        observations, kept = self.problem.observations, self.assembly.kept
        lengths = np.bincount(observations.track[kept], minlength=observations.num_tracks)
        return self._of_frames(ndimage.mean, lengths[observations.track[kept]].astype(float), self._kept_frames)

    @property
    def parallax_deg(self) -> Float:
        """Of the median point."""
        observations = self.problem.observations
        seen = np.flatnonzero(self.assembly.kept & (self.spread_deg > 0)[observations.track])
        return self._of_frames(ndimage.median, self.spread_deg[observations.track[seen]], observations.frame[seen])

    @property
    def covered(self) -> Float:
        return self._refined(self.cells)

    @property
    def halves_deg(self) -> Float:
        return self._spread(None if self.halves is None else self.halves.turned_deg)

    @property
    def halves_position(self) -> Float:
        return self._spread(None if self.halves is None else self.halves.moved)

    @property
    def scatter_deg(self) -> Float:
        nothing = np.full(len(self.frames), np.nan)
        return nothing if self.scatter is None else self.scatter.of_frames(len(nothing))

    @property
    def bent_deg(self) -> Float:
        return self._spread(None if self.few is None or self.few.bent is None else self.few.bent.turned_deg)

    @property
    def let_go_deg(self) -> Float:
        return self._spread(None if self.few is None or self.few.let_go is None else self.few.let_go.turned_deg)

    @property
    def known_focal(self) -> Float:
        """1 where the focal length was given, else 0."""
        known = [name in self.problem.known_cameras for name in self.problem.camera_names]
        return self._refined(np.array(known, float)[self.problem.camera_index])

    @property
    def links(self) -> Float:
        """Points that three views or more see, of few views."""
        if self.few is None or self.few.fit is None:
            return np.full(len(self.frames), np.nan)
        observations, kept = self.few.problem.observations, self.few.fit.kept
        linking = np.bincount(observations.track[kept], minlength=observations.num_tracks) >= 3
        seen = observations.frame[kept & linking[observations.track]]
        return self._refined(np.bincount(seen, minlength=len(self.frames)))

    @property
    def wrong_matches(self) -> Int:
        """(Q,) of each pair, those that do not agree, and all of a pair with a frame that was not refined."""
        matches = self.problem.matches
        inside = np.asarray(self.assembly.refined[matches.frames].all(axis=1), bool)
        wrong = np.asarray(self.errors_px >= AGREE_PX) | ~inside[matches.pair]
        return np.bincount(matches.pair[wrong], minlength=len(matches.frames))

    @property
    def fov_deg(self) -> dict[str, float]:
        """The longer side's, by camera."""
        return {name: max(camera.fov_deg) for name, camera in self.assembly.fit.estimate.cameras.items()}

    @property
    def focal_sigmas(self) -> dict[str, float]:
        """Of the focal lengths of few views that nobody gave, by camera, in units of the residuals' sigma."""
        if self.few is None or self.few.fit is None:
            return {}
        problem, fit = self.few.problem, self.few.fit
        sigmas = focal_sigmas(problem, fit.estimate, fit.points, fit.kept, self.solve.adjustment)
        return {name: sigma for name, sigma in sigmas.items() if name not in problem.known_cameras}

    @property
    def _kept_frames(self) -> Int:
        return self.problem.observations.frame[self.assembly.kept]

    def _refined(self, values: Float | Int) -> Float:
        return np.where(self.assembly.refined, values, np.nan)

    def _spread(self, values: Float | None) -> Float:
        """Values of the refined frames alone, in order."""
        full = np.full(len(self.frames), np.nan)
        if values is not None:
            full[self.assembly.refined] = values
        return full

    def _of_frames(self, reduce: Callable[..., object], values: Float, frame: Int) -> Float:
        """Values (K,) reduced by the frame (K,) that they belong to."""
        full, filled = np.full(len(self.frames), np.nan), np.unique(frame)
        if len(filled):
            full[filled] = np.asarray(reduce(values, frame, filled), float)
        return full
