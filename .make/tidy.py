"""What a commit must not carry: loose line ends, large files, outputs in a notebook. Usage: tidy.py FILES"""

import json
import sys
from pathlib import Path

LARGEST_MIB = 4
BINARY = {".png", ".jpg", ".svg", ".safetensors", ".zip", ".npz", ".ico", ".woff2"}


def complaints(path: Path) -> list[str]:
    """Say everything that is wrong with one file, each in one sentence."""
    found = []
    raw = path.read_bytes()
    if len(raw) > LARGEST_MIB * 2**20:
        found.append(
            f"is {len(raw) / 2**20:.1f} MiB; {LARGEST_MIB} is the most a commit carries without a reason."
        )
    if path.suffix in BINARY:
        return found
    if raw and not raw.endswith(b"\n"):
        found.append("does not end with a line end.")
    if raw.endswith(b"\n\n"):
        found.append("ends with an empty line.")
    if b"\r\n" in raw:
        found.append("has Windows line ends.")
    if path.suffix == ".ipynb":
        cells = json.loads(raw).get("cells", [])
        ran = [n for n, cell in enumerate(cells) if cell.get("outputs") or cell.get("execution_count")]
        if ran:
            found.append(f"has outputs or execution counts in {len(ran)} cells (the first is cell {ran[0]}).")
    return found


def main(names: list[str]) -> int:
    bad = [(name, line) for name in names if Path(name).is_file() for line in complaints(Path(name))]
    for name, line in bad:
        print(f"{name} {line}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
