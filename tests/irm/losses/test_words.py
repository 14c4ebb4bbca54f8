"""Hidden and replaced words: figures of ALBEF's and of the released code, and which words may be hidden."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from irm.losses import hide_words, replace_words, replaced_words_loss, word_prediction_loss
from irm.models.bert import CrossLayers, TextLayers
from irm.models.words import WordHead
from tests.checkpoints import draw, fill


def tiny(key, shape):
    return fill(f"tiny.{key}", shape) * (5 if len(shape) > 1 else 1)


def small_albef():
    """Two layers that read, two that look at image tokens of width 16, and the head that predicts words."""
    text = TextLayers(embed_dim=24, depth=2, num_heads=2, hidden_dim=48, vocab_size=40, max_positions=16)
    cross = CrossLayers(embed_dim=24, depth=2, num_heads=2, hidden_dim=48)
    for layer in cross.layer:
        layer.crossattention.self.key, layer.crossattention.self.value = nn.Linear(16, 24), nn.Linear(16, 24)
    head = WordHead(24, vocab_size=40)
    text.load_state_dict({key: tiny(f"bert.{under(key)}", t.shape) for key, t in text.state_dict().items()})
    state = {}
    for key, tensor in cross.state_dict().items():
        _, index, rest = key.split(".", 2)
        state[key] = tiny(f"bert.encoder.layer.{int(index) + 2}.{rest}", tensor.shape)
    cross.load_state_dict(state)
    theirs = {"dense": "transform.dense", "norm": "transform.LayerNorm"}
    head.load_state_dict(
        {
            key: tiny(
                "cls.predictions."
                + ".".join([theirs.get(key.split(".")[0], key.split(".")[0]), *key.split(".")[1:]]),
                tensor.shape,
            )
            for key, tensor in head.state_dict().items()
        }
    )
    return text.eval(), cross.eval(), head


def under(key):
    return key if key.startswith("embeddings.") else f"encoder.{key}"


def test_hidden_words_give_the_figures_of_albefs_code_and_of_the_released_one(golden):
    file = golden("irm_mlm")
    text, cross, head = small_albef()
    given = {key: torch.tensor(value) for key, value in file["inputs"].items() if isinstance(value, list)}
    mask = given["attention_mask"].bool()
    states = cross(text(given["ids"], mask), mask, draw("mlm_image_tokens", (2, 5, 16)))
    logits = head(states, text.embeddings.word_embeddings.weight)
    taught = (2 * draw("mlm_soft_logits", (2, 7, 40))).softmax(dim=-1)
    for case, axis in (("albef", "words"), ("instruct_reid", "places")):
        for alpha in (0, 0.4):
            loss = word_prediction_loss(logits, given["labels"], taught=taught, distillation=alpha, axis=axis)
            expected = file["outputs"][f"{case}_alpha{alpha}"]["loss"]
            assert loss.item() == pytest.approx(expected, abs=1e-5), (case, alpha)


def test_distillation_needs_a_teacher_and_a_batch_without_hidden_words_has_no_loss():
    logits, nothing = torch.randn(2, 3, 5), torch.full((2, 3), -100)
    with pytest.raises(ValueError, match="pass taught"):
        word_prediction_loss(logits, nothing, distillation=0.4)
    taught = logits.softmax(-1)
    assert word_prediction_loss(logits, nothing, taught=taught, distillation=0.4) == 0


def test_words_are_hidden_as_bert_hides_them():
    generator = torch.Generator().manual_seed(0)
    token_ids = torch.randint(5, 100, (200, 20), generator=generator)
    mask = torch.arange(20)[None] < torch.randint(1, 21, (200, 1), generator=generator)
    hidden = hide_words(token_ids, mask, generator, share=0.5, mask_id=4, vocab_size=1000)
    judged = hidden.labels != -100
    assert not judged[:, 0].any() and not judged[~mask].any()
    assert torch.equal(hidden.token_ids[~judged], token_ids[~judged])
    assert torch.equal(hidden.labels[judged], token_ids[judged])
    can_be = mask.clone()
    can_be[:, 0] = False
    masked, kept = hidden.token_ids[judged] == 4, hidden.token_ids[judged] == token_ids[judged]
    assert judged[can_be].float().mean() == pytest.approx(0.5, abs=0.04)
    assert masked.float().mean() == pytest.approx(0.8, abs=0.04)
    assert kept.float().mean() == pytest.approx(0.1, abs=0.03)


def test_replaced_words_are_labelled_by_whether_they_changed():
    token_ids, mask = torch.tensor([[2, 7, 8, 9, 0]]), torch.tensor([[True, True, True, True, False]])
    sure = F.one_hot(torch.tensor([[5, 7, 3, 9, 6]]), 10).float() * 1000  # the teacher is sure of each word
    written = replace_words(
        token_ids, mask, sure, torch.rand(1, 5, generator=torch.Generator().manual_seed(0))
    )
    assert written.token_ids.tolist() == [[2, 7, 3, 9, 0]]
    assert written.labels.tolist() == [[-100, 0, 1, 0, -100]]
    logits = torch.zeros(1, 5, 2)
    logits[0, 2, 1] = 3.0
    expected = -(2 * torch.tensor(0.5).log() + torch.tensor([0.0, 3.0]).log_softmax(0)[1]) / 3
    torch.testing.assert_close(replaced_words_loss(logits, written.labels), expected)


def test_words_are_drawn_from_the_distribution_of_the_teacher():
    chances = torch.tensor([0.0, 0.5, 0.0, 0.2, 0.3])
    chance = (torch.arange(1000) + 0.5)[:, None].expand(-1, 2) / 1000  # every thousandth once
    token_ids, guesses = torch.zeros(1000, 2, dtype=torch.long), chances.log().expand(1000, 2, 5)
    written = replace_words(token_ids, torch.ones(1000, 2, dtype=torch.bool), guesses, chance)
    assert torch.bincount(written.token_ids[:, 1], minlength=5).tolist() == [0, 500, 0, 200, 300]
    assert not written.token_ids[:, 0].any()


def test_shares_of_a_batch_have_its_loss_in_the_mean():
    """Two shares of unlike numbers of judged places; each is divided by the mean of these numbers."""
    torch.manual_seed(0)
    logits, labels = torch.randn(4, 3, 2), torch.tensor([[0, 1, -100], [1, -100, -100], [0, 0, 1], [1, 1, 0]])
    count = torch.tensor(9 / 2)
    for loss in (replaced_words_loss, word_prediction_loss):
        halves = [loss(logits[rows], labels[rows], count=count) for rows in (slice(0, 2), slice(2, 4))]
        torch.testing.assert_close(torch.stack(halves).mean(), loss(logits, labels))
