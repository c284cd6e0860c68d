"""Write the digests of built images into a kustomize component.

python containers/pin.py FILE VERSION TARGET=REFERENCE...

Deployments get their images by kustomize's own `images`; the image of the stages, which the
controller starts, is a setting.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

HEAD = "# Which images run. Written by containers/build (PIN=...); JSON, which is YAML too.\n"


def main(target: Path, version: str, references: list[str]) -> None:
    """Replace the component; images that are not named now keep what the file says of them."""
    known = json.loads(target.read_text().removeprefix(HEAD)) if target.exists() else {}
    built = dict(item.split("=", 1) for item in references)
    images = {item["name"]: item for item in known.get("images", [])}
    for name, reference in built.items():
        if name != "stage":
            images[f"cdi/{name}"] = _image(f"cdi/{name}", reference)
    generators = known.get("configMapGenerator", [])
    if "stage" in built:
        literal = f"CDI_KUBERNETES_IMAGES=cdi/stage:{version}={built['stage']}"
        settings = {"name": "cdi-settings", "namespace": "cdi", "behavior": "merge"}
        generators = [{**settings, "literals": [literal]}]
    component: dict[str, Any] = {
        "apiVersion": "kustomize.config.k8s.io/v1alpha1",
        "kind": "Component",
        "images": [images[name] for name in sorted(images)],
        "configMapGenerator": generators,
    }
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(HEAD + json.dumps(component, indent=2) + "\n")
    sys.stderr.write(f"written: {target}\n")


def _image(name: str, reference: str) -> dict[str, str]:
    found = re.fullmatch(r"(.+?)(?:@(sha256:[0-9a-f]{64})|:([\w.-]+))", reference)
    if found is None:
        raise SystemExit(f"{reference!r}: expected NAME@sha256:... or NAME:TAG")
    place, digest, tag = found.groups()
    return {"name": name, "newName": place, **({"digest": digest} if digest else {"newTag": tag})}


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])
