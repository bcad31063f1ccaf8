"""docs/ray-cluster.yaml, held to what `ray up` asks of it; nothing is started."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

CLUSTER = Path(__file__).parents[3] / "docs" / "ray-cluster.yaml"


@pytest.fixture
def described() -> dict[str, Any]:
    yaml = pytest.importorskip("yaml")
    described: dict[str, Any] = yaml.safe_load(CLUSTER.read_text(encoding="utf-8"))
    return described


def test_it_has_what_ray_up_requires(described: dict[str, Any]) -> None:
    assert described["provider"]["type"] == "local" and described["provider"]["head_ip"]
    assert len(described["provider"]["worker_ips"]) == described["max_workers"]
    assert described["auth"]["ssh_user"]
    assert any("da3-pipeline[ray]" in line for line in described["setup_commands"])
    assert any("--head" in line for line in described["head_start_ray_commands"])
    assert any("$RAY_HEAD_IP" in line for line in described["worker_start_ray_commands"])


@pytest.mark.filterwarnings("ignore")  # Ray's
def test_rays_own_check_takes_it(described: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """As `ray up` does before it starts anything: filled with the provider's defaults, held to Ray's schema."""
    ray = pytest.importorskip("ray")
    jsonschema = pytest.importorskip("jsonschema")
    from ray.autoscaler._private.util import prepare_config, validate_config

    validate_config(prepare_config(described))
    schema = json.loads((Path(ray.__file__).parent / "autoscaler" / "ray-schema.json").read_text())
    jsonschema.validate(described, schema)
    described["auth"]["ssh_users"] = described["auth"].pop("ssh_user")
    with pytest.raises(jsonschema.ValidationError):
        validate_config(prepare_config(described))
