"""The viewer in a real browser: cameras and points are drawn, a click shows the picture, nothing is complained of."""

from __future__ import annotations

import base64
import io
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from da3_pipeline.geometry import centres
from da3_pipeline.viewer import Viewer, serve

viser = pytest.importorskip("viser", reason="viser is not installed: pip install 'da3-pipeline[viewer]'")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium: install the package of that name")

WIDTH, HEIGHT = 1280, 800
PANEL = WIDTH - 440  # the first column that the panel may cover
ARGUMENTS = ("--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist")
KNOWN = () if hasattr(viser, "__version__") else ("Computed radius is NaN",)
"""What the page of viser 0.2.7 complains of when nothing is drawn."""

SCREENSHOTS = os.environ.get("DA3_VIEWER_SCREENSHOTS")
"""A folder to keep the screenshots in, for people to look at."""


@contextmanager
def viewing(session: Path, port: int) -> Iterator[Viewer]:
    viewer = serve(session, port=port)
    try:
        yield viewer
    finally:
        viewer.stop()


@contextmanager
def page_at(url: str, complaints: list[str]) -> Iterator[Any]:
    """A page in headless Chromium; errors of console and scripts are added to `complaints`."""
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        page.on("console", lambda message: complaints.append(message.text) if is_ours(message) else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        # viser 0.2.7's page asks for a script of Google Analytics, which has no place in a test
        page.route(re.compile("^https://"), lambda route: route.fulfill(body="", content_type="text/javascript"))
        page.goto(url)
        try:
            yield page
        finally:
            browser.close()


def is_ours(message: Any) -> bool:
    """Whether a message of the console is a complaint that an empty viewer does not make."""
    return message.type == "error" and not any(known in message.text for known in KNOWN)


def wait_for(page: Any, done: Callable[[], bool], seconds: float = 60.0) -> bool:
    """Let the page work until something is so; whether it came to be."""
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            return False
        page.wait_for_timeout(200)
    return True


def screenshot(page: Any, name: str) -> NDArray[np.uint8]:
    picture = page.screenshot()
    if SCREENSHOTS:
        (Path(SCREENSHOTS) / f"{name}.png").write_bytes(picture)
    return np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"))


def on_screen(client: Any, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, 2) pixels of the page at which a client sees points of the viewer's world: OpenCV axes, vertical field."""
    w, x, y, z = client.camera.wxyz
    turn = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    rotation = np.eye(3) + 2 * w * turn + 2 * turn @ turn
    inside = (points - client.camera.position) @ rotation
    focal_px = HEIGHT / 2 / np.tan(client.camera.fov / 2)
    return np.asarray(inside[:, :2] / inside[:, 2:] * focal_px + [WIDTH / 2, HEIGHT / 2])


def shown_picture(page: Any) -> NDArray[np.uint8] | None:
    """The picture in the panel, as the browser holds it."""
    for source in page.evaluate("Array.from(document.images).map(image => image.src)"):
        if match := re.match(r"data:image/jpeg;base64,(.+)", source):
            return np.asarray(Image.open(io.BytesIO(base64.b64decode(match[1]))))
    return None


def image_planes(viewer: Viewer) -> NDArray[np.float64]:
    """(N, 3) middles of the cameras' pictures in the viewer's world: viser scales a frustum to a given volume."""
    camera = viewer.scene.images[0].camera
    half = np.tan(np.radians(camera.fov_deg[1]) / 2)
    distance = viewer.placement.camera_size / np.cbrt(half * half * camera.width / camera.height / 3)
    return centres(viewer.panel.drawing.poses) + distance * viewer.panel.drawing.poses[:, 2, :3]


def frustums(picture: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """(H, W): where the blue of the refined cameras is, beside the panel."""
    free = picture[:, :PANEL].astype(int)
    return (free[:, :, 2] > 150) & (free[:, :, 0] < 90)


def are_drawn(page: Any, viewer: Viewer, client: Any) -> bool:
    """Whether there is colour, and a frustum wherever the client must see a camera."""
    picture = screenshot(page, "overview")
    coloured = np.ptp(picture[:, :PANEL].astype(int), axis=2) > 60
    blue = frustums(picture)
    seen = visible(client, centres(viewer.panel.drawing.poses)).astype(int).tolist()
    around = [blue[max(0, row - 30) : row + 30, max(0, column - 30) : column + 30] for column, row in seen]
    return len(seen) >= 6 and 0.005 < coloured.mean() < 0.6 and all(part.any() for part in around)


def visible(client: Any, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """(M, 2) pixels of the points that are on the page and not under the panel."""
    places = on_screen(client, points)
    return places[((places > 40) & (places < [PANEL - 40, HEIGHT - 40])).all(axis=1)]


def test_cameras_and_points_are_drawn_and_a_click_shows_the_picture(session: Path, free_port: int) -> None:
    complaints: list[str] = []
    with viewing(session, free_port) as viewer, page_at(viewer.url, complaints) as page:
        assert wait_for(page, lambda: bool(viewer.server.get_clients()))
        client = next(iter(viewer.server.get_clients().values()))
        assert wait_for(page, lambda: are_drawn(page, viewer, client))
        assert shown_picture(page) is None

        planes = image_planes(viewer)
        distances = np.linalg.norm(planes - viewer.placement.eye, axis=1)
        nearest = next(k for k in np.argsort(distances).tolist() if len(visible(client, planes[[k]])))
        for _ in range(5):  # a page that is drawn without a GPU may be too busy for a click
            page.mouse.click(*on_screen(client, planes[[nearest]])[0])
            if wait_for(page, lambda: shown_picture(page) is not None, seconds=8):
                break
        picture = shown_picture(page)
        assert picture is not None
        assert abs(int(picture[100, 100, 0]) - 20 * nearest) <= 4  # the test's images differ in red
        assert wait_for(page, lambda: track_pixels(screenshot(page, "clicked")) > 300)
    assert complaints == []


def track_pixels(picture: NDArray[np.uint8]) -> int:
    """How many pixels have the pink of the chosen image's tracks."""
    return int((np.abs(picture.astype(int) - [255, 60, 200]) < 40).all(axis=2).sum())
