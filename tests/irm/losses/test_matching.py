import pytest
import torch

from irm.losses import draw_hard_negatives, match_pairs, matching_loss


def test_a_negative_is_never_the_same_person():
    labels = torch.tensor([0, 0, 1, 1, 2])
    generator = torch.Generator().manual_seed(0)
    for _ in range(50):
        columns = draw_hard_negatives(torch.randn(5, 5), labels, generator)
        assert (labels[columns] != labels).all()


def test_closer_strangers_are_drawn_more_often_in_the_proportion_of_the_softmax():
    similarity, labels = torch.tensor([[9.0, 1.0, 2.0]]).expand(3, 3), torch.arange(3)
    generator = torch.Generator().manual_seed(0)
    drawn = torch.stack([draw_hard_negatives(similarity, labels, generator)[0] for _ in range(5000)])
    share = (drawn == 2).float().mean()
    assert not (drawn == 0).any()
    torch.testing.assert_close(share, torch.tensor([1.0, 2.0]).softmax(0)[1], rtol=0, atol=0.02)


def test_a_distant_stranger_is_still_drawn():
    """The softmax is taken over strangers only, so it cannot vanish beside the person's own score."""
    similarity = torch.tensor([[0.0, -1000.0], [-1000.0, 0.0]])
    drawn = draw_hard_negatives(similarity, torch.tensor([0, 1]), torch.Generator().manual_seed(0))
    assert drawn.tolist() == [1, 0]


def test_the_same_seed_draws_the_same():
    similarity, labels = torch.randn(16, 16), torch.arange(16) // 2
    first, second = (
        draw_hard_negatives(similarity, labels, torch.Generator().manual_seed(7)) for _ in range(2)
    )
    assert torch.equal(first, second)


def test_a_batch_of_one_person_is_refused():
    with pytest.raises(ValueError, match="at least two people"):
        draw_hard_negatives(torch.zeros(3, 3), torch.zeros(3, dtype=torch.int64), torch.Generator())


def test_pairs_are_each_true_pair_once_and_two_false_ones():
    labels = torch.tensor([0, 0, 1, 2])
    pairs = match_pairs(torch.randn(4, 4), labels, torch.Generator().manual_seed(0))
    assert pairs.matches.tolist() == [True] * 4 + [False] * 8
    assert pairs.text_rows[:8].tolist() == [0, 1, 2, 3] * 2 and pairs.image_rows[8:].tolist() == [0, 1, 2, 3]
    assert torch.equal(labels[pairs.text_rows] == labels[pairs.image_rows], pairs.matches)


def test_the_loss_is_the_negative_log_of_the_right_answer():
    logits = torch.randn(3, 2)
    right = torch.stack(
        [logits.log_softmax(1)[0, 1], logits.log_softmax(1)[1, 0], logits.log_softmax(1)[2, 1]]
    )
    torch.testing.assert_close(matching_loss(logits, torch.tensor([True, False, True])), -right.mean())


def test_each_text_gets_its_own_hard_image_and_each_image_its_own_hard_text():
    similarity = torch.full((3, 3), -1000.0)
    similarity[0, 1] = similarity[1, 2] = similarity[2, 0] = 0.0  # text 0 is nearest image 1, and so round
    pairs = match_pairs(similarity, torch.arange(3), torch.Generator().manual_seed(0))
    assert pairs.image_rows[3:6].tolist() == [1, 2, 0]
    assert pairs.text_rows[6:].tolist() == [2, 0, 1]
