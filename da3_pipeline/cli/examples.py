"""Examples for the end of every command's help; tests hold their options to the commands."""

from __future__ import annotations

__all__ = ["EXAMPLES", "examples"]

EXAMPLES: dict[str, tuple[tuple[str, str], ...]] = {
    "": (
        ("da3-pipeline run photos/ -o session", "photographs to a data set"),
        ("da3-pipeline run clip.mp4 -o session", "the same from a video"),
        ("da3-pipeline view session", "look at it in the browser"),
    ),
    "run": (
        ("da3-pipeline run photos/ -o session", "a folder of photographs"),
        ("da3-pipeline run clip.mp4 more_photos/ -o session", "a video and photographs"),
        ("da3-pipeline run photos/ -o session --masks masks/ --mask-people", "what moves is ignored"),
        ("da3-pipeline run photos/ -o session --undistort", "for trainers that know pinholes only"),
        ("da3-pipeline run photos/ -o session --distance 'A.jpg,B.jpg=2.5'", "in metres"),
        ("da3-pipeline run photos/ -o session --poses sparse/0 --poses-as prior", "from poses that are about right"),
        ("da3-pipeline run photos/ -o session --json", "the verdict for a program"),
    ),
    "demo": (("da3-pipeline demo -o demo", "a rendered room, and how far the poses are from its truth"),),
    "batch": (
        ("da3-pipeline batch captures/ -o sessions", "a session for each sub-folder and video"),
        ("da3-pipeline batch captures/ -o sessions --jobs 4", "four at once"),
        ("da3-pipeline batch captures/ -o sessions --executor ray --ray-address auto", "on a cluster"),
        ("da3-pipeline batch captures/ -o sessions --masks masks/", "masks/NAME where there is one for a capture"),
    ),
    "watch": (
        ("da3-pipeline watch uploads/ -o sessions", "a session for each capture, as soon as it has arrived"),
        ("da3-pipeline watch uploads/ -o sessions --settled 60", "where uploads pause"),
        ("da3-pipeline watch uploads/ -o sessions --once", "what has arrived, from a timer"),
    ),
    "models": (
        ("da3-pipeline models", "what there is, under which licence"),
        ("da3-pipeline models --fetch da3-small", "get the weights before they are needed"),
    ),
    "doctor": (
        ("da3-pipeline doctor", "before the first run"),
        ("da3-pipeline doctor session", "when a run there fails"),
    ),
    "view": (
        ("da3-pipeline view session", "at http://127.0.0.1:8080"),
        ("da3-pipeline view session --port 9000", "at another port"),
    ),
    "convert": (
        ("da3-pipeline convert session -o exports", "all that the session has something for"),
        ("da3-pipeline convert session -o exports --format glb", "cameras and points for Blender or a browser"),
    ),
    "compare": (
        ("da3-pipeline compare session other_session", "after a change of settings"),
        ("da3-pipeline compare session colmap/sparse/0 --plot both.png", "beside COLMAP, and a drawing"),
        ("da3-pipeline compare session truth.json --json", "beside the truth, for a program"),
    ),
    "bench": (("da3-pipeline bench pose scene/ --colmap", "pose accuracy and time beside COLMAP"),),
    "bench run": (("da3-pipeline bench run photos/", "seconds and memory of each stage"),),
    "bench pose": (("da3-pipeline bench pose scene/ --colmap --runs 3", "scene/ holds images/ and truth.json"),),
    "bench rendering": (("da3-pipeline bench rendering scene/ --ab", "splats trained on our poses and on COLMAP's"),),
    "bench long": (("da3-pipeline bench long 200 --simulated", "a tour of 200 frames, a network that drifts"),),
    "bench forward": (("da3-pipeline bench forward da3-small --views 4", "seconds and memory of one pass"),),
    "bench memory": (("da3-pipeline bench memory da3-small --views 4", "the plan beside what a pass takes"),),
    "bench robustness": (("da3-pipeline bench robustness scene/ --noise 5:10:5", "from truth with that noise"),),
    "bench few-views": (("da3-pipeline bench few-views scene/ --views 3", "three views with little overlap"),),
    "bench verdict": (("da3-pipeline bench verdict scene/ --views 3", "is it right, and is that what is said?"),),
    "bench doppelgangers": (("da3-pipeline bench doppelgangers --jobs 2", "things with equal sides"),),
    "bench spoilt": (("da3-pipeline bench spoilt scene/ --kind grain", "the same pictures by night"),),
    "bench adjustment": (("da3-pipeline bench adjustment 50 200", "seconds for 50 and 200 images"),),
    "bench selection": (("da3-pipeline bench selection --walks 1", "blurred video"),),
    "bench scenarios": (("da3-pipeline bench scenarios --no-colmap", "captures hard in one way each"),),
    "bench scaling": (("da3-pipeline bench scaling 10 50 --no-colmap", "seconds as a capture grows"),),
    "bench datasets": (("da3-pipeline bench datasets datasets/ --render", "what is there, with rooms of our own"),),
    "bench all": (
        ("da3-pipeline bench all --quick -o results", "every benchmark, small, with no download"),
        ("da3-pipeline bench all datasets/ --quick -o results", "with datasets/strecha, if it is there"),
    ),
    "bench speed": (("da3-pipeline bench speed da3-nano --images 10 --images 25", "networks, and the pipeline"),),
    "bench geometry": (
        ("da3-pipeline bench geometry datasets/ -o results", "all methods that need no weights, on all that is there"),
        ("da3-pipeline bench geometry datasets/ -o results --method raw:da3-small --method npz:vggt", "others beside"),
        ("da3-pipeline bench geometry datasets/ -o results --views 5 --views 12", "by number of views, too"),
    ),
    "train": (("da3-pipeline train student --folder run", "the same command again goes on"),),
    "train student": (("da3-pipeline train student --folder run --preset nano", "the network that is built in"),),
}
"""By command: (what to type, what it is for)."""


def examples(command: str) -> str:
    """The end of the help of `command`: a paragraph for each example, since help joins the lines of one."""
    return "\n\n".join(["Examples:", *(f"{line}  # {purpose}" for line, purpose in EXAMPLES[command])])
