"""Published checkpoint formats at any size: the keys and shapes of their authors' classes, filled by a rule.

Each tensor is a function of its key and shape alone, so that the authors' code could be run on the very same
weights; the figures it gave are in tests/golden.
"""

import hashlib
import re
import zlib

import torch

SEED = 1
NORM = re.compile(r"(^|[._])(norm\d*|LayerNorm|bn\d*)\.weight$")


def generator_of(key):
    return torch.Generator().manual_seed((zlib.crc32(key.encode()) + 1_000_003 * SEED) % 2**31)


def draw(name, shape):
    """An input: normal noise by its name."""
    return torch.randn(tuple(shape), generator=generator_of(f"input:{name}"))


def fill(key, shape):
    """One tensor of a checkpoint."""
    leaf = key.rsplit(".", 1)[-1]
    if leaf == "temp":
        return torch.tensor(0.07)
    if leaf in ("position_ids", "queue_ptr", "num_batches_tracked", "idx_queue"):
        whole = {"position_ids": torch.arange(shape[-1] if shape else 1), "idx_queue": torch.tensor(-100)}
        return whole.get(leaf, torch.tensor(0)).expand(tuple(shape)).clone()
    noise = torch.randn(tuple(shape), generator=generator_of(key))
    if leaf in ("image_queue", "text_queue"):
        return torch.nn.functional.normalize(noise, dim=0)
    if leaf in ("running_var", "running_mean"):
        return 1 + 0.1 * noise.abs() if leaf == "running_var" else 0.1 * noise
    if leaf == "gate":
        return 0.5 * noise
    return 1 + 0.1 * noise if NORM.search(key) else 0.02 * noise


TIED = {"decoder.weight": "bert.embeddings.word_embeddings.weight", "decoder.bias": "cls.predictions.bias"}


def filled(shapes, skip=None):
    """A checkpoint's tensors; those whose key matches ``skip`` have a shape and no content."""
    tensors = {}
    for key, shape in shapes.items():
        root, found, leaf = key.partition("cls.predictions.decoder.")
        source = root + TIED[f"decoder.{leaf}"] if found else key
        skipped = skip is not None and re.fullmatch(skip, key)
        tensors[key] = torch.empty(shape, device="meta") if skipped else fill(source, shape)
    return tensors


def digest(shapes):
    """To compare a whole table of keys and shapes with its authors'."""
    lines = "".join(f"{key} {list(shape)}\n" for key, shape in sorted(shapes.items()))
    return hashlib.sha256(lines.encode()).hexdigest()[:16]


def under(prefix, shapes):
    return {prefix + key: shape for key, shape in shapes.items()}


def affine(name, rows, columns):
    return {f"{name}.weight": (rows, columns), f"{name}.bias": (rows,)}


def norm(name, dim):
    return {f"{name}.weight": (dim,), f"{name}.bias": (dim,)}


def block(dim):
    return {
        **norm("norm1", dim),
        **affine("attn.qkv", 3 * dim, dim),
        **affine("attn.proj", dim, dim),
        **norm("norm2", dim),
        **affine("mlp.fc1", 4 * dim, dim),
        **affine("mlp.fc2", dim, 4 * dim),
    }


def blocks(dim, depth, name="blocks"):
    return {
        key: shape for index in range(depth) for key, shape in under(f"{name}.{index}.", block(dim)).items()
    }


def vit(*, dim=768, depth=12, positions=197):
    """Names of timm."""
    return {
        "cls_token": (1, 1, dim),
        "pos_embed": (1, positions, dim),
        "patch_embed.proj.weight": (dim, 3, 16, 16),
        "patch_embed.proj.bias": (dim,),
        **blocks(dim, depth),
        **norm("norm", dim),
    }


def deit(*, dim=768, depth=12, distilled=False):
    shapes = {**vit(dim=dim, depth=depth, positions=197 + distilled), **affine("head", 1000, dim)}
    return {**shapes, "dist_token": (1, 1, dim), **affine("head_dist", 1000, dim)} if distilled else shapes


def hap(*, dim=768, depth=12, inner=512, decoder_depth=8):
    return {
        **vit(dim=dim, depth=depth, positions=129),
        "mask_token": (1, 1, inner),
        "decoder_pos_embed": (1, 129, inner),
        **affine("decoder_embed", inner, dim),
        **blocks(inner, decoder_depth, "decoder_blocks"),
        **norm("decoder_norm", inner),
        **affine("decoder_pred", 768, inner),
    }


def pass_vit(*, dim=768, depth=12):
    tokens = ("cls_token", "part_token1", "part_token2", "part_token3")
    positions = ("cls_pos", "part1_pos", "part2_pos", "part3_pos")
    apart = {key: (1, 1, dim) for key in tokens + positions}
    return {**vit(dim=dim, depth=depth, positions=128), **apart}


def bert_layer(dim, hidden, *, crossing):
    attentions = ("attention", "crossattention") if crossing else ("attention",)
    shapes = {}
    for name in attentions:
        for part in ("query", "key", "value"):
            shapes |= affine(f"{name}.self.{part}", dim, dim)
        shapes |= affine(f"{name}.output.dense", dim, dim) | norm(f"{name}.output.LayerNorm", dim)
    shapes |= affine("intermediate.dense", hidden, dim) | affine("output.dense", dim, hidden)
    return shapes | norm("output.LayerNorm", dim)


def bert(*, dim=768, depth=12, crossing=range(6, 12), vocab=30522, positions=512, hidden=None):
    """BertModel without a pooler, some of its layers with cross-attention."""
    shapes = {
        "embeddings.position_ids": (1, positions),
        "embeddings.word_embeddings.weight": (vocab, dim),
        "embeddings.position_embeddings.weight": (positions, dim),
        "embeddings.token_type_embeddings.weight": (2, dim),
        **norm("embeddings.LayerNorm", dim),
    }
    for index in range(depth):
        layer = bert_layer(dim, hidden or 4 * dim, crossing=index in crossing)
        shapes |= under(f"encoder.layer.{index}.", layer)
    return shapes


def masked_bert(*, dim=768, vocab=30522, **sizes):
    head = "cls.predictions."
    return {
        **under("bert.", bert(dim=dim, vocab=vocab, **sizes)),
        head + "bias": (vocab,),
        **affine(head + "transform.dense", dim, dim),
        **norm(head + "transform.LayerNorm", dim),
        **affine(head + "decoder", vocab, dim),
    }


def albef(*, dim=768, depth=12, joint=256, queue=65536, positions=257, **text):
    """What ALBEF's pretraining saves under "model"."""
    shapes = {"temp": (), "image_queue": (joint, queue), "text_queue": (joint, queue), "queue_ptr": (1,)}
    for end in ("", "_m"):
        shapes |= under(f"visual_encoder{end}.", vit(dim=dim, depth=depth, positions=positions))
        shapes |= under(f"text_encoder{end}.", masked_bert(dim=dim, depth=depth, **text))
        shapes |= affine(f"vision_proj{end}", joint, dim) | affine(f"text_proj{end}", joint, dim)
    return shapes | affine("itm_head", 2, dim)


def released(*, dim=768, depth=12, joint=256, queue=65536, classes=10, **text):
    """A released IRM, without the "module." before every key."""
    shapes = albef(dim=dim, depth=depth, joint=joint, queue=queue, positions=65, **text)
    for key in [key for key in shapes if key.startswith(("visual_encoder.", "vision_proj_m."))]:
        del shapes[key]
    shapes |= under("visual_encoder.", pass_vit(dim=dim, depth=depth) | affine("fc", 1000, dim))
    shapes |= {"idx_queue": (1, queue), "project.weight": (dim, dim)}
    for neck in ("feat_bn", "fusion_feat_bn"):
        shapes |= norm(neck, dim) | {f"{neck}.running_mean": (dim,), f"{neck}.running_var": (dim,)}
        shapes[f"{neck}.num_batches_tracked"] = ()
    shapes |= {f"classifier{end}.weight": (classes, dim) for end in ("", "_f", "_c")}
    return shapes | affine("prd_head", 2, dim) | affine("mrtd_head", 2, dim) | blocks(dim, 2, "fusion")
