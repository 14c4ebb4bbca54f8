"""What the model looked at: the attention that it paid, beside the score that the search gave."""

import threading

import numpy as np
import pytest
import torch

from irm.models import gated_attention
from irm.retrieval import Picture, Question

TEXT = "a man in a red coat"


@pytest.fixture
def attention(monkeypatch):
    """Attention of every layer, heads averaged, by torch's own kernel on values that are the identity."""
    seen = []
    real = gated_attention.attend

    def spy(q, k, v, mask=None, *, dropout=0.0):
        unit = torch.eye(k.shape[-2]).expand(*k.shape[:-2], -1, -1)
        paid = torch.nn.functional.scaled_dot_product_attention(q, k, unit, attn_mask=mask)
        seen.append(paid[0].mean(dim=0).numpy())
        return real(q, k, v, mask, dropout=dropout)

    monkeypatch.setattr(gated_attention, "attend", spy)
    return seen


def heat_of(first, second):
    """Two layers rolled out token by token, half of each layer being what was there before, from 0 to 1."""
    count = len(first)
    mixed = [[[0.5 * one[i][j] + 0.5 * (i == j) for j in range(count)] for i in range(count)]
             for one in (first, second)]  # fmt: skip
    told = [sum(mixed[1][0][i] * mixed[0][i][j] for i in range(count)) for j in range(1, count)]
    return (np.array(told) - min(told)) / (max(told) - min(told))


def test_both_pictures_show_the_attention_that_was_paid(gallery, tiny_items, attention):
    question = Question(images=(Picture.read(tiny_items[0].path),), text=TEXT, view="neutral")
    gallery.search(question)
    attention.clear()
    explanation = gallery.explain(question, 3)
    own, words = attention[0::2], attention[1::2]
    assert len(own) == 4  # two layers for each of two pictures
    np.testing.assert_allclose(explanation.query.ravel(), heat_of(*own[:2]), atol=1e-4)
    np.testing.assert_allclose(explanation.hit.ravel(), heat_of(*own[2:]), atol=1e-4)
    paid = (words[0][0] + words[1][0])[1:-1]  # of the class token; without the sentence's beginning and end
    spelled = np.repeat(np.arange(6), [len(word) for word in TEXT.split()])  # the tiny tokenizer spells words
    shares = np.bincount(spelled, weights=paid) / paid.sum()
    assert [word for word, _ in explanation.words] == TEXT.split()
    assert [share for _, share in explanation.words] == pytest.approx(list(shares), abs=1e-4)


def test_the_score_is_the_searchs(gallery, tiny_items):
    for question in (
        Question(images=(Picture.read(tiny_items[2].path),), task="trad"),
        Question(like=(3,), text=TEXT, view="caption"),
        Question(text=TEXT, re_score=0),
    ):
        for hit in gallery.search(question).hits[:2]:
            assert gallery.explain(question, hit.image).score == pytest.approx(hit.score, abs=1e-5)


def test_gates_are_as_open_as_the_parameters_say(gallery, search_model):
    gates = gallery.explain(Question(like=(1,)), 2).gates
    assert gates == pytest.approx((0.5, 0.5))  # the fixture opened them so far
    block = search_model.embedder.model.editing_transformer.vit.blocks[1]
    with torch.no_grad():
        block.attn.gate.zero_()
        try:
            assert gallery.explain(Question(like=(1,)), 2).gates == pytest.approx((0.5, 0))
        finally:
            block.attn.gate.fill_(0.5)


def test_nothing_watches_after_an_explanation_and_no_answer_changes(gallery, search_model):
    question = Question(like=(1,), text=TEXT)
    before = gallery.search(question)
    gallery.explain(question, 2)
    assert [hit.score for hit in gallery.search(question).hits] == [hit.score for hit in before.hits]
    blocks = search_model.embedder.model.editing_transformer.vit.blocks
    assert not any(module._forward_pre_hooks for module in blocks.modules())


def test_an_explanation_is_of_its_own_picture_while_others_search(gallery):
    question = Question(like=(1,), text=TEXT)
    alone = gallery.explain(question, 2)
    over = threading.Event()

    def search():
        while not over.is_set():
            gallery.search_many([Question(like=(image,), task="cc") for image in (5, 6, 7)])

    other = threading.Thread(target=search)
    other.start()
    try:
        for _ in range(15):
            found = gallery.explain(question, 2)
            np.testing.assert_array_equal(found.query, alone.query)
            np.testing.assert_array_equal(found.hit, alone.hit)
            assert found.words == alone.words
    finally:
        over.set()
        other.join()
