"""One rank of a training step in double precision; started by torchrun from test_ranks.py, or alone."""

import sys
from pathlib import Path

import torch

from irm.build import build_irm
from irm.config import read_run
from irm.training.image_text import ImageTextObjective
from irm.training.lessons import LessonRule, Lessons
from irm.training.objectives import IdentityObjective, Objectives, TripletRule
from irm.training.ranks import average_gradients, process_group
from omnireid.loading.batch import Batch, InstructionBatch

TINY = Path(__file__).parents[3] / "configs" / "irm" / "tiny.yaml"
EQ_7 = ("identification", "adaptive_triplet", "identification_fused", "adaptive_triplet_fused")
DOMAIN, DESCRIBED = "ctcc/cocas_real1", "t2i/cuhk_pedes"
EQ_8 = ("contrastive", "matching", "hidden_words", "replaced_words")


def build(parts, *, taught):
    """A model without dropout and its objectives; the clothes encoder learns, the sentence encoder too."""
    torch.manual_seed(0)
    model, _ = build_irm(read_run(TINY, ["model.drop_path=0", "model.instruction.freeze_text=false"]))
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    identity = IdentityObjective(
        {DOMAIN: 4},
        dim=model.editing_transformer.embed_dim,
        streams=model.fusion.streams,
        weights={name: 1.0 for name in (*EQ_7, "outfit", "composition")},
        triplet=TripletRule(),
        parts=parts,
    )
    lessons = Lessons(model, LessonRule(queue=12, replaced_share=0.9), domains=(DESCRIBED,))
    image_text = ImageTextObjective(
        weights=dict.fromkeys(EQ_8 if taught else EQ_8[:2], 1.0),
        parts=parts,
        lessons=lessons if taught else None,
    )
    for name, parameter in model.named_parameters():
        if name.endswith(".gate"):
            torch.nn.init.constant_(parameter, 0.3)
    return model.train().double(), Objectives(identity, image_text).double()


def batches():
    """Four people, two images each; the second half of the first batch is told sentences alone."""
    rng = torch.Generator().manual_seed(1)
    rows, labels = torch.arange(8), torch.arange(8) // 2
    common = {"pids": labels, "labels": labels, "camids": rows, "indices": rows, "worn": labels}
    images = torch.randn(8, 3, 64, 32, generator=rng, dtype=torch.float64)
    instruction = InstructionBatch(
        sentences=("red coat", "a photo of a person", "a man in a blue hat", "bag", "hat"),
        sentence_rows=torch.tensor([1, 4, 5, 6, 7]),
        clothes=torch.randn(3, 3, 32, 32, generator=rng, dtype=torch.float64),
        clothes_rows=torch.tensor([0, 2, 3]),
        asked=torch.tensor([0, 0, 1, 1, -1, 2, 3, 3]),
        bare=rows == 4,
    )
    texts = ("a man", "man in red", "a woman in blue", "woman", "boy", "the boy runs", "girl", "a tall girl")
    told = Batch(task="ctcc", domain=DOMAIN, images=images, instruction=instruction, texts=None, **common)
    described = Batch(task="t2i", domain=DESCRIBED, images=images, instruction=None, texts=texts, **common)
    return told, described


def steps(ranks, parts=1):
    """A step as the paper has it, and one with the released lessons."""
    return {name: step(ranks, parts, taught=name == "released") for name in ("paper", "released")}


def step(ranks, parts, *, taught):
    """Terms, gradients, batch-norm statistics and queues after one step without an update.

    The described batch comes twice: with lessons it meets itself in the queue the second time.
    """
    model, objectives = build(parts, taught=taught)
    torch.manual_seed(5)
    terms, share = {}, 8 // ranks.world
    told, described = batches()
    for batch in (told, described, described):
        own = batch.part(ranks.rank * share, (ranks.rank + 1) * share)
        breakdown = objectives(model, own)
        breakdown.total.backward()
        means = breakdown.detach().averaged().terms
        terms |= {name: term.item() for name, term in means.items()}
    named = [*model.named_parameters(), *objectives.named_parameters()]
    average_gradients([parameter for _, parameter in named])
    gradients = {name: parameter.grad for name, parameter in named if parameter.grad is not None}
    buffers = {**dict(model.necks.named_buffers()), **dict(objectives.named_buffers())}
    return {"terms": terms, "gradients": gradients, "buffers": buffers}


if __name__ == "__main__":
    torch.set_num_threads(1)
    with process_group(torch.device("cpu")) as ranks:
        found = steps(ranks)
        torch.save(found, f"{sys.argv[1]}/rank{ranks.rank}.pt")
