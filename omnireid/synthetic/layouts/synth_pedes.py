"""SYNTH-PEDES on disk: ``Part1/7/1.jpg``, one annotation file, and the official `t2i` training list."""

import json

from omnireid.synthetic.captions import annotator_caption, phrase_fields
from omnireid.synthetic.lists import ListLine, caption_file
from omnireid.synthetic.world import Draft, Plan, World

NAME = "synth_pedes"
NUM_PARTS = 6  # as in OmniReID's tree; the full download has eleven
NUM_CAPTIONS = 2


def plan(world: World) -> Plan:
    """A training set only; two captions and six phrase fields per image."""
    draft = Draft(world, NAME)
    counts = draft.counts
    items, captions, lines = [], {}, []
    for pid in range(counts.train_ids):
        part = 1 + pid * NUM_PARTS // counts.train_ids
        for camera in draft.cast.itinerary(pid, 0, counts.shots):
            take = draft.take(pid, 0, camera)
            path = f"Part{part}/{pid}/{take.number}.jpg"
            draft.shoot(take, path)
            written = [annotator_caption(draft.cast, take, number) for number in range(1, NUM_CAPTIONS + 1)]
            fields = phrase_fields(draft.cast, take)
            known = [phrase for phrase in fields.split(",") if phrase != "unknown"]
            prompt = (
                f"A photo of a {known[0]} with {', '.join(known[1:])}."
                if known[1:]
                else f"A photo of a {known[0]}."
            )
            items.append({"id": pid, "file_path": path, "attributes": [fields], "captions": written,
                          "prompt_caption": [prompt]})  # fmt: skip
            for number, caption in enumerate(written):
                key = f"{path.replace('/', '_').removesuffix('.jpg')}_{number}.jpg"
                captions[key] = caption
                lines.append(str(ListLine(path, key, pid, draft.cast.clothes_id(pid, 0))))
    draft.texts[f"{draft.folder}/synthpedes_dataset.json"] = (json.dumps(items) + "\n").encode("ascii")
    draft.texts[f"{draft.folder}/caption_t2i.json"] = caption_file(captions)
    draft.write("train_t2i.txt", lines)
    return draft.finish({"train": len(items)})
