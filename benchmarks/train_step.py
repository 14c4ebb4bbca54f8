"""One training step at full size: images/s, FLOPs, share of a matrix product's rate, memory, limits.

python -m benchmarks.train_step                            on a GPU: ViT-B/16, 256 x 128, batch 128, bfloat16
OMP_NUM_THREADS=1 python -m benchmarks.train_step --batch 4 --rounds 3      on a CPU, in CPU-seconds

The variants take turns. timm's plain ViT-B is the lower bound; the released code's forms (attention by
concatenated keys and maps, a triplet loss of Python loops, sentences padded to 70 tokens and a trained
encoder) are rewritten here from their description.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from benchmarks._released import looped_triplet_loss, release_attention
from irm.models import IRM, InstructionTokens
from irm.models.settings import BACKBONE, INSTRUCTION
from irm.models.tokens import SharedInstruction
from irm.training.breakdown import weigh
from irm.training.objectives import IdentityObjective, TripletRule
from irm.training.optimizer import build_optimizer
from tools import _program

DOMAIN, NUM_CLASSES, NUM_INSTANCES = "trad/market1501", 751, 4
PADDED, SHORT = 70, 8  # tokens: padded as in the released code; length of the banks' sentences
Run = Callable[[], object]


class Steps:
    """The training steps to compare, on one batch of noise."""

    def __init__(self, batch: int, device: torch.device, autocast: torch.dtype | None, small: bool) -> None:
        torch.manual_seed(0)
        self.device, self.autocast, self.batch = device, autocast, batch
        towers: dict[str, dict[str, object]] = {"backbone": BACKBONE, "instruction": INSTRUCTION}
        if small:
            tower = {"name": "tiny", "image_size": [64, 32]}
            towers = {"backbone": tower, "instruction": {"text": {"name": "tiny"}, "image": tower}}
        self.model = IRM(**towers, match=None, necks=[DOMAIN]).to(device).train()
        self.width = self.model.instruction_encoder.text.embed_dim
        self.images = torch.randn(batch, 3, *self.model.image_size, device=device)
        self.labels = torch.arange(batch, device=device) // NUM_INSTANCES
        ids = torch.randint(5, 100, (batch, PADDED), device=device)
        self.words, self.mask = ids, torch.arange(PADDED, device=device).expand(batch, -1) < SHORT
        self.table = torch.randn(20, PADDED, self.width, device=device)  # a bank's sentences, encoded once
        self.said = torch.zeros(batch, dtype=torch.int64, device=device)
        self.objective = IdentityObjective(
            {DOMAIN: NUM_CLASSES},
            dim=self.model.editing_transformer.embed_dim,
            streams=1,
            weights=dict.fromkeys(TERMS, 1.0),
            triplet=TripletRule(),
        ).to(device)
        self.head = nn.Linear(self.model.editing_transformer.embed_dim, NUM_CLASSES).to(device)
        # One for all variants, because its states are large; it skips parameters without a gradient.
        everything = nn.ModuleList([self.model, self.objective, self.head]).parameters()
        self.optimizer = build_optimizer([{"params": list(everything), "lr_scale": 1.0}], lr=1e-5)

    def instruction(self, kind: str) -> InstructionTokens:
        """The instruction of the images: encoded now, or looked up."""
        encoder = self.model.instruction_encoder
        if kind in ("trained", "frozen"):
            with torch.set_grad_enabled(kind == "trained"):
                return encoder.encode_text(self.words, self.mask)
        length = SHORT if kind == "unpadded" else PADDED
        tokens = self.table[self.said, :length]
        return InstructionTokens(tokens, self.mask[:, :length], tokens[:, 0])

    def plain(self) -> Tensor:
        """The lower bound: timm's ViT, a classifier, cross entropy."""
        tokens = self.model.editing_transformer(self.images)
        return F.cross_entropy(self.head(tokens[:, 0]).float(), self.labels)

    def editing(self) -> Tensor:
        """The same with every block attending to a cached sentence."""
        tokens = self.model.editing_transformer(self.images, self.instruction("unpadded"))
        return F.cross_entropy(self.head(tokens[:, 0]).float(), self.labels)

    def irm(self, kind: str) -> Tensor:
        """All of equation 7."""
        instruction = self.instruction(kind)
        output = self.model(self.images, instruction)
        necked = self.model.neck(output, view=DOMAIN)
        heads = self.objective.classifiers[DOMAIN]
        features = {"": (output.edited, necked.edited, heads.edited)}
        features["_fused"] = (output.fused[:, 0], necked.fused[:, 0], heads.fused[0])
        terms = {}
        for end, (raw, normed, classify) in features.items():
            terms[f"identification{end}"] = F.cross_entropy(classify(normed).float(), self.labels)
            terms[f"adaptive_triplet{end}"] = self.rank(raw, self.labels, instruction.pooled)
        return weigh(terms, self.objective.weights).total

    def losses(self) -> Run:
        """Equation 7 from features to their gradients, without the network."""
        features = torch.randn(2, self.batch, self.head.in_features, device=self.device).requires_grad_()
        logits = torch.randn(2, self.batch, NUM_CLASSES, device=self.device).requires_grad_()
        pooled = self.instruction("unpadded").pooled

        def run() -> None:
            terms = [self.rank(one, self.labels, pooled) for one in features.unbind()]
            terms += [F.cross_entropy(one.float(), self.labels) for one in logits.unbind()]
            torch.autograd.backward(torch.stack(terms).sum())

        return run

    def rank(self, features: Tensor, labels: Tensor, pooled: Tensor) -> Tensor:
        """Our adaptive triplet loss; the released variant replaces it by its own."""
        from irm.losses import adaptive_triplet_loss

        return adaptive_triplet_loss(features, labels, pooled)

    def released(self) -> Tensor:
        """Equation 7 with the released code's attention, loss and trained, padded sentences."""
        with release_attention(self.model.editing_transformer):
            self.rank = looped_triplet_loss  # type: ignore[method-assign]
            try:
                return self.irm("trained")
            finally:
                del self.rank

    def whole(self, loss: Callable[[], Tensor], *, text: bool) -> Run:
        """Forward, backward and AdamW."""

        def step() -> None:
            self.model.instruction_encoder.freeze_text = not text
            for one in self.model.instruction_encoder.text.parameters():
                one.requires_grad_(text)
            self.optimizer.zero_grad(set_to_none=True)
            with torch.autocast(self.device.type, self.autocast, enabled=self.autocast is not None):
                value = loss()
            torch.autograd.backward(value)
            self.optimizer.step()

        return step


TERMS = ("identification", "adaptive_triplet", "identification_fused", "adaptive_triplet_fused")
PLAIN, LOSSES = "plain ViT-B", "the losses alone"
# Allowed by issue 4: a variant's time relative to another's.
GOALS = (
    ("editing, cached and unpadded", PLAIN, 1.20),
    ("IRM, cached and unpadded", PLAIN, 1.45),
    ("inference, bank sentence", "inference, plain", 1.01),
    (LOSSES, "IRM, cached and unpadded", 0.01),
)


def variants(steps: Steps) -> dict[str, Run]:
    """All training steps by name, the lower bound first."""
    return {
        PLAIN: steps.whole(steps.plain, text=False),
        "editing, cached and unpadded": steps.whole(steps.editing, text=False),
        "IRM, cached and unpadded": steps.whole(lambda: steps.irm("unpadded"), text=False),
        "IRM, cached": steps.whole(lambda: steps.irm("cached"), text=False),
        "IRM, text frozen": steps.whole(lambda: steps.irm("frozen"), text=False),
        "IRM, text trained": steps.whole(lambda: steps.irm("trained"), text=True),
        "released forms": steps.whole(steps.released, text=True),
        LOSSES: steps.losses(),
    }


def inference(steps: Steps) -> dict[str, Run]:
    """Images alone, with one sentence for all (K', V' constants), and with one each."""

    def run(instruction: InstructionTokens | None) -> Run:
        def embed() -> None:
            use = torch.autocast(steps.device.type, steps.autocast, enabled=steps.autocast is not None)
            with torch.inference_mode(), use:
                steps.model.editing_transformer(steps.images, instruction)

        return embed

    each = steps.instruction("unpadded")
    with torch.no_grad():
        layers = steps.model.editing_transformer.gated_kv(each.take(torch.tensor([0], device=steps.device)))
    shared = SharedInstruction(each.tokens, each.mask, each.pooled, layers=layers)
    return {
        "inference, plain": run(None),
        "inference, bank sentence": run(shared),
        "inference, own": run(each),
    }


def counted(run: Run) -> float:
    """FLOPs of one call as torch counts them."""
    with FlopCounterMode(display=False) as counter:
        run()
    return float(counter.get_total_flops())


def by_formula(steps: Steps, name: str) -> float:
    """FLOPs of one call by formula; a multiplication with its addition counts as two."""
    if name == LOSSES:
        return 0.0  # no matrix products except distances
    vit = steps.model.editing_transformer.vit
    dim, depth, num_patches = vit.embed_dim, len(vit.blocks), vit.patch_embed.num_patches
    num_tokens = num_patches + vit.num_prefix_tokens
    patches = 2 * num_patches * 3 * vit.patch_embed.patch_size[0] ** 2 * dim
    length = SHORT if "unpadded" in name or "inference" in name else PADDED
    edit = depth * (4 * length * steps.width * dim + 4 * num_tokens * length * dim)
    if "bank" in name:
        edit -= depth * 4 * length * steps.width * dim
    forward = _blocks(depth, num_tokens, dim) + (edit if "plain" not in name else 0.0)
    if "inference" in name:
        return steps.batch * (patches + forward)
    # Backward is twice the forward pass, minus the unneeded gradients of pixels and frozen words.
    total = 3 * forward + 2 * patches
    if "plain" not in name:
        total -= 0 if "trained" in name or "released" in name else depth * 4 * length * steps.width * dim
    if "IRM" in name or "released" in name:
        total += 3 * _blocks(len(steps.model.fusion.blocks), 1 + length, dim)
        text = _blocks(len(steps.model.instruction_encoder.text.layer), PADDED, steps.width)
        total += text * (3 if "trained" in name or "released" in name else 1 if "frozen" in name else 0)
    return steps.batch * total


def _blocks(depth: int, tokens: int, dim: int) -> float:
    """Transformer blocks: twelve D x D products per token, and two attention maps of all tokens by all."""
    return depth * (2 * tokens * 12 * dim * dim + 4 * tokens * tokens * dim)


def matrix_rate(device: torch.device, dtype: torch.dtype) -> float:
    """FLOPs per second of one large matrix product, the best of five."""
    size = 8192 if device.type == "cuda" else 1024
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    return 2 * size**3 / min(seconds(lambda: a @ b, device) for _ in range(5))


def seconds(run: Run, device: torch.device) -> float:
    """Wall time on a GPU, CPU time elsewhere, where other processes may run too."""
    if device.type != "cuda":
        start = time.process_time()
        run()
        return time.process_time() - start
    torch.cuda.synchronize()
    start = time.perf_counter()
    run()
    torch.cuda.synchronize()
    return time.perf_counter() - start


def memory_of(run: Run, device: torch.device) -> float:
    """Peak bytes of one call on a GPU; elsewhere bytes kept for the backward pass."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        run()
        return float(torch.cuda.max_memory_allocated())
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        if not isinstance(tensor, nn.Parameter):
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        run()
    return float(sum(kept.values()))


def waits_for_nobody(run: Run) -> bool:
    """Whether a step runs without the host waiting for the GPU."""
    torch.cuda.set_sync_debug_mode("error")
    try:
        run()
    except RuntimeError:
        return False
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return True


def measure(arguments: argparse.Namespace) -> dict[str, dict[str, float]]:
    """All figures by variant."""
    device = torch.device("cuda" if torch.cuda.is_available() and not arguments.cpu else "cpu")
    half = arguments.precision == "bf16" or (arguments.precision == "auto" and device.type == "cuda")
    autocast = torch.bfloat16 if half else None
    steps = Steps(arguments.batch, device, autocast, arguments.tiny)
    if arguments.compile:
        steps.model.editing_transformer.compile()
        steps.model.fusion.compile()
    runs = variants(steps) | inference(steps)
    if arguments.only:
        runs = {name: run for name, run in runs.items() if name == PLAIN or arguments.only in name}
    peak = matrix_rate(device, autocast or torch.float32)
    taken: dict[str, list[float]] = {name: [] for name in runs}
    rows: dict[str, dict[str, float]] = {}
    for name, run in runs.items():
        rows[name] = {"flops": counted(run), "formula": by_formula(steps, name)}
        rows[name]["memory"] = memory_of(run, device)
        if device.type == "cuda" and "released" not in name:
            rows[name]["waits"] = float(not waits_for_nobody(run))
    for _ in range(arguments.rounds):
        for name, run in runs.items():
            taken[name].append(seconds(run, device))
    for name, row in rows.items():
        row["seconds"] = statistics.median(taken[name])
        row["images_per_second"] = arguments.batch / row["seconds"]
        row["mfu"] = row["formula"] / row["seconds"] / peak
        limit = "inference, plain" if "inference" in name else PLAIN
        row["ratio"] = row["seconds"] / statistics.median(taken[limit]) if limit in taken else float("nan")
    dtype = autocast or torch.float32
    print(f"{device}, {dtype}, batch {arguments.batch}; a matrix product: {peak / 1e9:.0f} GFLOP/s")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batch", type=int, default=128, help="images; a multiple of 4")
    parser.add_argument("--rounds", type=int, default=5, help="timed turns; the median counts")
    parser.add_argument("--precision", choices=("auto", "fp32", "bf16"), default="auto")
    parser.add_argument("--only", default="", help="only variants whose name holds this, and the plain one")
    parser.add_argument("--compile", action="store_true", help="torch.compile of the image side")
    parser.add_argument("--cpu", action="store_true", help="even where there is a GPU")
    parser.add_argument("--tiny", action="store_true", help="the tests' network, to see that all runs")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    arguments = parser.parse_args()
    rows = measure(arguments)
    print(f"{'':30}{'images/s':>10}{'x plain':>9}{'GFLOP/image':>13}{'formula':>9}{'MFU':>7}{'GB':>7}  waits")
    for name, row in rows.items():
        waits = {0.0: "none", 1.0: "yes"}.get(row.get("waits", -1.0), "-")
        counts = [row[key] / arguments.batch / 1e9 for key in ("flops", "formula")]
        print(
            f"{name:30}{row['images_per_second']:10.2f}{row['ratio']:9.3f}{counts[0]:13.2f}{counts[1]:9.2f}"
            f"{row['mfu']:7.1%}{row['memory'] / 1e9:7.2f}  {waits}"
        )
    for name, limit, allowed in GOALS:
        if name in rows and limit in rows:
            ratio = rows[name]["seconds"] / rows[limit]["seconds"]
            print(
                f"{name} / {limit}: {ratio:.3f}, allowed {allowed} {'' if ratio <= allowed else '(missed)'}"
            )
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    _program.run(main)
