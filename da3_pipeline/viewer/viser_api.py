"""The few places where viser 0.2.7, which nerfstudio 1.1.5 pins, and viser 1.x differ."""

from __future__ import annotations

import inspect
import socket
from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

from ..arrays import Bytes
from ..errors import MissingExtraError, UsageError
from .callers import Callers, only_for
from .splats import DrawnSplats

__all__ = ["add_frustum", "add_points", "add_splats", "set_theme", "start_server"]


def start_server(host: str, port: int, label: str) -> Any:
    """A running viser.ViserServer. Raises MissingExtraError without viser, UsageError where it cannot listen.

    viser itself takes the next free port in silence, so the port is tried before and looked at after.
    """
    try:
        import viser
    except ImportError as error:
        raise MissingExtraError("the viewer", "viewer") from error
    _try_port(host, port)
    with only_for(Callers(host)) as guarded:
        server = viser.ViserServer(host=host, port=port, label=label, verbose=False)
    if not guarded.is_set():
        server.stop()
        raise UsageError("this version of viser cannot be kept to its own page; install viser 0.2.7 or 1.1")
    if server.get_port() != port:
        server.stop()
        raise UsageError(f"{host}:{port}: something else is listening there; choose another --port")
    return server


def set_theme(gui: Any) -> None:
    """A wide panel without viser's logo or its button for tunnels; hiding that one breaks the page of 0.2.7."""
    later = hasattr(gui, "add_image")
    gui.configure_theme(control_width="large", show_logo=False, **({"show_share_button": False} if later else {}))


def add_frustum(scene: Any, name: str, thickness: float, **settings: Any) -> Any:
    """A camera frustum. `thickness` of its lines in scene units; in 0.2.7 they have a fixed width on the screen."""
    return scene.add_camera_frustum(name, **settings, **_known(scene.add_camera_frustum, thickness=thickness))


def add_points(scene: Any, name: str, points: NDArray[Any], colours: Bytes, size: float) -> Any:
    """Coloured points, in single precision and without shading, which is all that 0.2.7 has."""
    better = _known(scene.add_point_cloud, precision="float32", point_shading="flat")
    return scene.add_point_cloud(name, points=points, colors=colours, point_size=size, point_shape="circle", **better)


def add_splats(scene: Any, name: str, splats: DrawnSplats) -> Any:
    """Gaussians; experimental in both, and private in 0.2.7."""
    add = getattr(scene, "add_gaussian_splats", None) or scene._add_gaussian_splats
    return add(
        name,
        centers=splats.centres,
        covariances=splats.covariances,
        rgbs=splats.colours,
        opacities=splats.opacities,
    )


def _known(call: Callable[..., Any], **settings: Any) -> dict[str, Any]:
    """Those settings that this version's call has."""
    names = inspect.signature(call).parameters
    return {name: value for name, value in settings.items() if name in names}


def _try_port(host: str, port: int) -> None:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        reason = error.strerror or str(error)
        raise UsageError(f"{host}:{port}: cannot listen there ({reason}); choose another --port or --host") from error
