import pytest
import torch

from irm.models.tokens import InstructionTokens, merge_rows, resize_positions


def instruction(rows, length, value):
    return InstructionTokens(
        tokens=torch.full((rows, length, 3), value),
        mask=torch.ones(rows, length, dtype=torch.bool),
        pooled=torch.full((rows, 3), value),
    )


def test_groups_merge_into_one_batch_in_the_order_of_their_rows():
    merged = merge_rows(
        [(instruction(2, 4, 1.0), torch.tensor([2, 0])), (instruction(1, 6, 2.0), torch.tensor([1]))]
    )
    assert merged.pooled[:, 0].tolist() == [1.0, 2.0, 1.0]
    assert merged.tokens.shape == (3, 6, 3)
    assert merged.mask.sum(dim=1).tolist() == [4, 6, 4]
    assert (merged.tokens[0, 4:] == 0).all() and not merged.mask[0, 4:].any()


@pytest.mark.parametrize("rows", [[0, 0], [0, 2], [1, 2]])
def test_rows_that_are_no_batch_are_refused(rows):
    with pytest.raises(ValueError, match=r"each exactly once"):
        merge_rows([(instruction(2, 4, 1.0), torch.tensor(rows))])


def test_rows_can_be_taken_twice():
    both = merge_rows(
        [(instruction(1, 2, 1.0), torch.tensor([0])), (instruction(1, 2, 2.0), torch.tensor([1]))]
    )
    assert both.take(torch.tensor([1, 0, 1])).pooled[:, 0].tolist() == [2.0, 1.0, 2.0]


def test_positions_of_the_same_grid_stay_the_same():
    positions = torch.randn(1, 9, 5)
    resized = resize_positions(positions, old_grid=(4, 2), new_grid=(4, 2), num_prefix_tokens=1)
    assert torch.equal(resized, positions)


def test_positions_resize_as_albef_and_pass_do(golden, fill):
    """The figures tell antialiasing, aligned corners, and the wrong interpolation apart."""
    file = golden("irm_vit")
    albef = fill("visual_encoder_m.pos_embed", (1, 257, 768))
    resized = resize_positions(albef, old_grid=(16, 16), new_grid=(8, 8), num_prefix_tokens=1)
    expected = torch.tensor(file["albef_128"]["positions_1_2_last"])
    torch.testing.assert_close(resized[0, [1, 2, -1], :8], expected, rtol=0, atol=1e-6)

    patches = fill("pos_embed", (1, 128, 768))
    options = {"old_grid": (16, 8), "new_grid": (24, 12), "num_prefix_tokens": 0, "mode": "bilinear"}
    resized = resize_positions(patches, **options)
    expected = torch.tensor(file["pass_384x192"]["positions_0_1_12_last"])
    torch.testing.assert_close(resized[0, [0, 1, 12, -1], :8], expected, rtol=0, atol=1e-6)
