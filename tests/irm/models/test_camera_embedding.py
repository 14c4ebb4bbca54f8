"""Camera vectors are added to every token, for known cameras of known domains only."""

import torch

from irm.models import build_backbone
from irm.models.camera_embedding import CameraEmbedding
from irm.models.editing_transformer import EditingTransformer


def test_a_known_camera_adds_its_vector_times_the_coefficient():
    cameras = CameraEmbedding(4, {"trad/a": 2, "trad/b": 3}, coefficient=3.0)
    shift = cameras("trad/b", torch.tensor([2, 0]))
    torch.testing.assert_close(shift, 3 * cameras.tables[1][[2, 0]])


def test_unknown_cameras_and_domains_add_nothing():
    cameras = CameraEmbedding(4, {"trad/a": 2})
    assert cameras("trad/elsewhere", torch.tensor([0])) is None
    shift = cameras("trad/a", torch.tensor([-1, 2, 1]))
    assert shift[:2].eq(0).all() and shift[2].ne(0).all()


def test_the_shift_reaches_every_token_as_a_position_does():
    torch.manual_seed(0)
    plain = EditingTransformer(build_backbone("tiny"), instruction_dim=8, editing=False).eval()
    images, shift = torch.randn(1, 3, 64, 32), torch.randn(1, 32)
    shifted = plain(images, None, shift)
    with torch.no_grad():
        plain.vit.pos_embed += shift  # of class token and patches alike
    torch.testing.assert_close(shifted, plain(images))
    assert plain.vit.pos_embed.shape[1] == shifted.shape[1]
