"""What counts as right, what is junk, and how a gallery is drawn."""

from instructions.errors import InputError, near_miss
from omnireid.protocols import draws, rules
from omnireid.protocols.fitting import shortcoming
from omnireid.protocols.protocol import Protocol
from omnireid.protocols.rules import Judgement
from omnireid.records import Split

__all__ = [
    "PROTOCOLS",
    "Judgement",
    "Protocol",
    "protocol_named",
    "refuse_unfit",
    "shortcoming",
    "suited_protocol",
]

PROTOCOLS: dict[str, Protocol] = {
    protocol.name: protocol
    for protocol in (
        Protocol(
            "market",
            "Market-1501 rule",
            "The same person under another camera is a true match; the same person under the query's camera "
            "and pid -1 are junk; pid 0 is a false match. Market-1501, MSMT17, CUHK03-NP, DukeMTMC-reID.",
            rules.other_camera,
        ),
        Protocol(
            "cuhk03_classic",
            "CUHK03 classic, single-shot, 10 draws",
            "Every test image is a query; its gallery, drawn for each query, has one random image per "
            "person, without images of the query person under the query's camera; averaged over ten draws. "
            "With one true match per list, AP is 1 / rank. The classic CUHK03 splits (100 test people each, "
            "twenty splits).",
            rules.other_camera,
            thinned=draws.one_per_person_and_query,
            num_trials=10,
        ),
        Protocol(
            "clothes_general",
            "clothes general",
            "The Market-1501 rule on a data set where people change clothes; clothes are ignored. LTCC, "
            "VC-Clothes.",
            rules.other_camera,
        ),
        Protocol(
            "clothes_change",
            "clothes changed",
            "The same person under another camera in other clothes is a true match; the same person under "
            "the query's camera or in the query's clothes is junk. LTCC, VC-Clothes.",
            rules.other_clothes,
            needs=("clothes",),
        ),
        Protocol(
            "clothes_same",
            "clothes kept",
            "The same person under another camera in the query's clothes is a true match; the same person "
            "under the query's camera or in other clothes is junk. LTCC, VC-Clothes.",
            rules.same_clothes,
            needs=("clothes",),
        ),
        Protocol(
            "prcc_multi_shot",
            "PRCC multi-shot",
            "All of camera A is the gallery; the Market-1501 rule. Not comparable with single-shot numbers.",
            rules.other_camera,
        ),
        Protocol(
            "prcc_single_shot",
            "PRCC single-shot, 10 draws",
            "The gallery is one random image per person of camera A, averaged over ten draws; the "
            "Market-1501 rule.",
            rules.other_camera,
            draws.one_per_person,
            num_trials=10,
        ),
        Protocol(
            "vc_clothes_same",
            "VC-Clothes cameras 2 and 3",
            "Cameras 2 and 3 only, between which no one changes clothes; the Market-1501 rule. VC-Clothes.",
            rules.other_camera,
            draws.cameras(1, 2),
        ),
        Protocol(
            "vc_clothes_change",
            "VC-Clothes cameras 3 and 4",
            "Cameras 3 and 4 only, between which everyone changes clothes; the Market-1501 rule. VC-Clothes.",
            rules.other_camera,
            draws.cameras(2, 3),
        ),
        Protocol(
            "llcm",
            "LLCM, 10 draws",
            "Every image of one modality is a query; the gallery is one random image per person and "
            "camera of the other modality, averaged over ten draws; the same person under the query's camera "
            "is junk; the CMC counts identities, not images.",
            rules.other_camera,
            draws.one_per_camera,
            num_trials=10,
            cmc="identity",
            needs=("two modalities",),
        ),
        Protocol(
            "llcm_script",
            "LLCM official script, 10 draws",
            "The queries are one random image per person and camera of one modality, the gallery is every "
            "image of the other, averaged over ten draws; otherwise as llcm. From infrared to visible this "
            "is what the data set's own script prints as VIS to IR; for comparison with such numbers only.",
            rules.other_camera,
            draws.queries_one_per_camera,
            num_trials=10,
            cmc="identity",
            needs=("two modalities",),
        ),
        Protocol(
            "instructed",
            "by person",
            "The same person under another camera is a true match, whatever they wear; the same person under "
            "the query's camera is junk. COCAS+ Real2 with clothes or language instructions, as in the "
            "released evaluator.",
            rules.other_camera,
        ),
        Protocol(
            "instructed_outfit",
            "by person and outfit",
            "The same person under another camera in the outfit that the instruction asks for is a true "
            "match, in another outfit a false one; the same person under the query's camera is junk.",
            rules.wanted_outfit,
            needs=("clothes",),
        ),
        Protocol(
            "text_to_image",
            "text to image",
            "Every image of the described person is a true match, including the described image; nothing is "
            "junk. CUHK-PEDES, ICFG-PEDES, RSTPReid.",
            rules.anywhere,
            needs=("texts",),
        ),
        Protocol(
            "irm_released",
            "released IRM evaluator (AP@500)",
            "Only the same person under the query's camera is junk; AP considers only the first 500 ranks, "
            "junk included, and divides by the number of true matches found there. For comparison with "
            "published numbers only.",
            rules.other_camera_only,
            ap_topk=500,
        ),
    )
}

# Default protocols: the variant's, else the data set's, else the task's.
_SUITED: dict[tuple[str, ...], str] = {
    ("trad",): "market",
    ("cc",): "clothes_general",
    ("vi",): "llcm",
    ("ctcc",): "instructed",
    ("li",): "instructed",
    ("t2i",): "text_to_image",
    ("cc", "prcc"): "prcc_multi_shot",
    ("cc", "ltcc", "cc"): "clothes_change",
    ("cc", "ltcc", "sc"): "clothes_same",
    ("cc", "vc_clothes", "same_clothes"): "vc_clothes_same",
    ("cc", "vc_clothes", "clothes_change"): "vc_clothes_change",
    ("trad", "cuhk03", "classic"): "cuhk03_classic",
}


def suited_protocol(task: str, dataset: str, variant: str | None = None) -> str:
    """The default protocol of a task on a data set.

    >>> suited_protocol("cc", "prcc"), suited_protocol("trad", "msmt17")
    ('prcc_multi_shot', 'market')
    """
    family = (variant or "").partition("_")[0]  # every split of CUHK03's classic protocol
    for key in ((task, dataset, variant or ""), (task, dataset, family), (task, dataset), (task,)):
        if key in _SUITED:
            return _SUITED[key]
    raise InputError(
        f"there is no task {task!r}; there are: {', '.join(k[0] for k in _SUITED if len(k) == 1)}"
    )


def protocol_named(name: str) -> Protocol:
    """The protocol of that name.

    Raises:
        InputError: There is none.
    """
    if name not in PROTOCOLS:
        raise InputError(
            f"there is no protocol {name!r}{near_miss(name, PROTOCOLS)}; known: {', '.join(PROTOCOLS)}"
        )
    return PROTOCOLS[name]


def refuse_unfit(name: str, split: Split) -> None:
    """Refuse a protocol that a split's labels do not suffice for, before anything is trained or embedded.

    ``shortcoming`` gives the reason without raising.

    Raises:
        InputError: naming the protocol, the data set and what is missing.
    """
    protocol = protocol_named(name)
    lack = shortcoming(protocol, split)
    if lack is not None:
        raise InputError(f"protocol {name} ({protocol.title}) cannot evaluate {split.name}: {lack}")
