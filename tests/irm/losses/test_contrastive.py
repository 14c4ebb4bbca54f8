import pytest
import torch
from torch.nn import functional as F

from irm.losses import ContrastiveKeys, contrastive_loss

CASES = {
    "albef_itc_alpha0": ("albef", 0.0, 0.07),
    "albef_itc_alpha0.4": ("albef", 0.4, 0.07),
    "albef_itc_alpha1": ("albef", 1.0, 0.07),
    "albef_itc_alpha0.4_temp0.5": ("albef", 0.4, 0.5),
    "rasa_cl_alpha0": ("rasa", 0.0, 0.07),
    "rasa_cl_alpha0.4": ("rasa", 0.4, 0.07),
    "instruct_reid_cl": ("instruct_reid", 0.4, 0.07),
}


@pytest.mark.parametrize("case", CASES)
def test_it_gives_the_published_figures(golden, case):
    kind, alpha, temp = CASES[case]
    file = golden("irm_contrastive")
    given = {key: torch.tensor(value) for key, value in file["inputs"].items()}
    image, text = given["image"].requires_grad_(), given["text"].requires_grad_()
    temperature = torch.tensor(temp, requires_grad=True)
    momentum = given["image"].detach() if kind == "instruct_reid" else given["image_m"]
    labels, queue_labels = given["pids"], given["idx_queue"][0]
    if kind == "albef":  # counts only an image's own text as right
        labels, queue_labels = torch.arange(4), torch.full((12,), -1)
    keys = ContrastiveKeys(
        image=torch.cat([F.normalize(momentum), given["image_queue"].T]),
        text=torch.cat([F.normalize(given["text_m"]), given["text_queue"].T]),
        labels=torch.cat([labels, queue_labels]),
    )
    within = kind != "albef"
    loss = contrastive_loss(
        image, text, labels, temperature=temperature, keys=keys, distillation=alpha, within_modality=within
    )
    loss.backward()
    expected = {key: torch.tensor(value) for key, value in file["outputs"][case].items()}
    torch.testing.assert_close(loss, expected["loss"], rtol=0, atol=5e-6)
    torch.testing.assert_close(image.grad, expected["grad_image"], rtol=0, atol=5e-6)
    torch.testing.assert_close(text.grad, expected["grad_text"], rtol=0, atol=5e-6)
    torch.testing.assert_close(temperature.grad, expected["grad_temp"], rtol=1e-5, atol=0)


def by_hand(image, text, labels, temperature):
    """Both directions, each row's target spread over the rows of its person."""
    image, text = F.normalize(image), F.normalize(text)
    total = 0.0
    for queries, keys in ((image, text), (text, image)):
        for row in range(len(labels)):
            scores = torch.stack([queries[row] @ key / temperature for key in keys]).log_softmax(0)
            right = [column for column in range(len(labels)) if labels[column] == labels[row]]
            total = total - sum(scores[column] for column in right) / len(right)
    return total / (2 * len(labels))


def test_all_texts_of_a_person_are_right():
    generator = torch.Generator().manual_seed(0)
    image, text = (torch.randn(5, 4, dtype=torch.float64, generator=generator) for _ in range(2))
    labels = torch.tensor([2, 2, 0, 1, 2])
    torch.testing.assert_close(
        contrastive_loss(image, text, labels, temperature=0.2), by_hand(image, text, labels, 0.2)
    )


def test_without_keys_both_sides_learn():
    image, text = torch.randn(4, 3, requires_grad=True), torch.randn(4, 3, requires_grad=True)
    contrastive_loss(image, text, torch.arange(4)).backward()
    assert image.grad.abs().sum() > 0 and text.grad.abs().sum() > 0


def test_the_gradient_equals_finite_differences():
    generator = torch.Generator().manual_seed(0)
    image, text = (
        torch.randn(4, 3, dtype=torch.float64, generator=generator, requires_grad=True) for _ in range(2)
    )
    labels = torch.tensor([0, 0, 1, 2])
    assert torch.autograd.gradcheck(
        lambda i, t: contrastive_loss(i, t, labels, temperature=0.3), (image, text)
    )


def test_distillation_needs_momentum_features():
    with pytest.raises(ValueError, match="pass keys"):
        contrastive_loss(torch.randn(2, 3), torch.randn(2, 3), torch.arange(2), distillation=0.4)


@pytest.mark.parametrize("within", [False, True])
def test_distillation_interpolates_between_labels_and_teacher(within):
    generator = torch.Generator().manual_seed(0)
    image, text, *stored = (torch.randn(5, 4, dtype=torch.float64, generator=generator) for _ in range(4))
    labels = torch.tensor([2, 2, 0, 1, 2])
    truth, taught, between = (
        contrastive_loss(
            image,
            text,
            labels,
            keys=ContrastiveKeys(*stored, labels),
            distillation=alpha,
            within_modality=within,
        )
        for alpha in (0.0, 1.0, 0.3)
    )
    torch.testing.assert_close(between, 0.7 * truth + 0.3 * taught)
    assert truth != taught


def test_keys_take_no_gradient():
    image, text, key_image, key_text = (torch.randn(4, 3, requires_grad=True) for _ in range(4))
    keys = ContrastiveKeys(key_image, key_text, torch.arange(4))
    contrastive_loss(
        image, text, torch.arange(4), keys=keys, distillation=0.4, within_modality=True
    ).backward()
    assert image.grad is not None and key_image.grad is None and key_text.grad is None
