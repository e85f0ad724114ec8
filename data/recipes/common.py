"""What both recipes share: the schedule, checkpoints to go on from, and how a model is shipped.

A shipped file is float16 and is named, with its hash and its measured figures, in data/manifest.json. Every
figure is measured on the model read back from those bytes, never on the one in memory.
"""

import argparse
import hashlib
import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn
from tqdm import tqdm

DATA = Path(__file__).resolve().parents[1]
BUILD = DATA.parent / "build" / "recipes"
MANIFEST = DATA / "manifest.json"


def arguments(what: str, steps: dict[str, int]) -> argparse.Namespace:
    """The options of a recipe's command line. `steps` names the models it can make, and their steps."""
    parser = argparse.ArgumentParser(description=what)
    parser.add_argument("--which", choices=list(steps), default=next(iter(steps)))
    shipped = ", ".join(f"{name} {count}" for name, count in steps.items())
    parser.add_argument("--steps", type=int, help=f"optimiser steps (shipped: {shipped})")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu", help="cpu, or cuda where there is a GPU; the same code")
    parser.add_argument("--out", type=Path, default=DATA, help="where the model and manifest.json go")
    parser.add_argument(
        "--fresh", action="store_true", help="forget an unfinished run instead of going on with it"
    )
    options = parser.parse_args()
    options.steps = options.steps or steps[options.which]
    return options


def learning_rate(step: int, steps: int, peak: float, warm_up: int) -> float:
    """Linear warm-up, then a cosine down to a thirtieth of the peak."""
    if step < warm_up:
        return peak * (step + 1) / warm_up
    return peak * (0.033 + 0.967 * (1 + math.cos(math.pi * (step - warm_up) / max(1, steps - warm_up))) / 2)


def train(
    name: str,
    model: nn.Module,
    loss_of_step: Callable[[int], tuple[Tensor, dict[str, float]]],
    options: argparse.Namespace,
    peak: float,
    warm_up: int,
    clip: float = 1.0,
    muon: bool = False,
) -> float:
    """Train, write a checkpoint every 100 steps, and go on from the last one if there is one.

    The optimiser is AdamW; with `muon`, the layers' matrices get Muon at twice the rate (torch 2.9 or
    later), and only embeddings and norms AdamW. For the language model that saves more than half of the
    steps.

    `loss_of_step(step)` draws its own batch from the step's number, so a run that was stopped and went on
    sees the same batches as one that was not. Returns the seconds spent, those before an interruption
    included.
    """
    torch.set_num_threads(1)
    steps = options.steps
    is_matrix = {
        name: muon and value.ndim == 2 and "embed" not in name and "projection" not in name
        for name, value in model.named_parameters()
    }
    others = [value for name, value in model.named_parameters() if not is_matrix[name]]
    optimisers: dict[float, torch.optim.Optimizer] = {
        1.0: torch.optim.AdamW(others, lr=peak, betas=(0.9, 0.98), weight_decay=0.05)
    }
    if muon:
        matrices = [value for name, value in model.named_parameters() if is_matrix[name]]
        optimisers[2.0] = torch.optim.Muon(matrices, weight_decay=0.05, adjust_lr_fn="match_rms_adamw")
    place = BUILD if options.out == DATA else options.out / "checkpoints"
    checkpoint = place / f"{Path(name).stem}-{steps}-{options.seed}.pt"
    first, before = 0, 0.0
    if checkpoint.exists() and not options.fresh:
        saved = torch.load(checkpoint, weights_only=True, map_location=options.device)
        model.load_state_dict(saved["model"])
        for optimiser, state in zip(optimisers.values(), saved["optimisers"], strict=True):
            optimiser.load_state_dict(state)
        first, before = saved["step"], saved["seconds"]
    began = time.perf_counter()
    model.train()
    bar = tqdm(range(first, steps), initial=first, total=steps, desc=name, mininterval=2)
    for step in bar:
        for factor, optimiser in optimisers.items():
            for group in optimiser.param_groups:
                group["lr"] = factor * learning_rate(step, steps, peak, warm_up)
        loss, shown = loss_of_step(step)
        model.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), clip)
        for optimiser in optimisers.values():
            optimiser.step()
        if step % 20 == 0:
            bar.set_postfix(
                {"loss": f"{loss.item():.3f}", **{key: f"{value:.3f}" for key, value in shown.items()}}
            )
        if (step + 1) % 100 == 0 or step + 1 == steps:
            place.mkdir(parents=True, exist_ok=True)
            state = {
                "model": model.state_dict(),
                "optimisers": [optimiser.state_dict() for optimiser in optimisers.values()],
                "step": step + 1,
                "seconds": before + time.perf_counter() - began,
            }
            torch.save(state, checkpoint.with_suffix(".part"))
            checkpoint.with_suffix(".part").replace(checkpoint)
    model.eval()
    return before + time.perf_counter() - began


def ship(tensors: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    """Write a model as float16 safetensors and read it back: figures are those of the shipped bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    safetensors.torch.save_file({key: value.half().contiguous() for key, value in tensors.items()}, path)
    path.chmod(0o644)  # safetensors makes files that only their owner can read
    return {key: value.float() for key, value in safetensors.torch.load_file(path).items()}


def enter(out: Path, name: str, entry: dict[str, Any]) -> None:
    """Put one file into the manifest, with its hash and size."""
    manifest = out / MANIFEST.name
    known = json.loads(manifest.read_text()) if manifest.exists() else {"files": {}}
    content = (out / name).read_bytes()
    entry = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content), **entry}
    known["files"] = dict(sorted({**known["files"], name: entry}.items()))
    manifest.write_text(json.dumps(known, indent=2) + "\n")
    print(f"{name}: {len(content):,} bytes, sha256 {entry['sha256'][:12]}…")
    print(json.dumps(entry.get("metrics", {}), indent=2))
