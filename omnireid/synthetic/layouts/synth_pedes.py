"""SYNTH-PEDES on disk: ``Part1/7/1.jpg``, one annotation file, and the official `t2i` training list."""

import json

from omnireid.synthetic.captions import annotator_caption, phrase_fields
from omnireid.synthetic.lists import ListLine, caption_file
from omnireid.synthetic.plan import Plan, PlanBuilder, SyntheticSpec

NAME = "synth_pedes"
NUM_PARTS = 6  # as in OmniReID's tree; the full download has eleven
NUM_CAPTIONS = 2


def plan(spec: SyntheticSpec) -> Plan:
    """A training set only; two captions and six phrase fields per image."""
    builder = PlanBuilder(spec, NAME)
    counts = builder.counts
    items, captions, lines = [], {}, []
    for pid in range(counts.train_ids):
        part = 1 + pid * NUM_PARTS // counts.train_ids
        for camera in builder.population.cameras_of_outfit(pid, 0, counts.shots):
            key = builder.next_shot(pid, 0, camera)
            path = f"Part{part}/{pid}/{key.number}.jpg"
            builder.add_image(key, path)
            written = [
                annotator_caption(builder.population, key, number) for number in range(1, NUM_CAPTIONS + 1)
            ]
            fields = phrase_fields(builder.population, key)
            known = [phrase for phrase in fields.split(",") if phrase != "unknown"]
            prompt = (
                f"A photo of a {known[0]} with {', '.join(known[1:])}."
                if known[1:]
                else f"A photo of a {known[0]}."
            )
            items.append({"id": pid, "file_path": path, "attributes": [fields], "captions": written,
                          "prompt_caption": [prompt]})  # fmt: skip
            for number, caption in enumerate(written):
                caption_key = f"{path.replace('/', '_').removesuffix('.jpg')}_{number}.jpg"
                captions[caption_key] = caption
                lines.append(str(ListLine(path, caption_key, pid, builder.population.clothes_id(pid, 0))))
    builder.texts[f"{builder.folder}/synthpedes_dataset.json"] = (json.dumps(items) + "\n").encode("ascii")
    builder.texts[f"{builder.folder}/caption_t2i.json"] = caption_file(captions)
    builder.write("train_t2i.txt", lines)
    return builder.finish({"train": len(items)})
