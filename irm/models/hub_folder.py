"""The folder of a saved IRM, local or on the hub: configuration, weights, tokenizer and a model card."""

from __future__ import annotations

import json
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

from huggingface_hub import PyTorchModelHubMixin, snapshot_download
from safetensors import SafetensorError

from irm.models.staging import staged_folder
from irm.models.tokenizer import TOKENIZER_FILES, SentenceTokenizer

CARD = """---
{{ card_data }}
---

An instruct-ReID model (IRM): one network for six person re-identification tasks, instructed by a sentence
or a clothes image. Load it with `from irm import IRM; model = IRM.from_pretrained(...)`.
Method: He et al., Instruct-ReID, CVPR 2024. This is an independent implementation.
"""


def read_config(folder: Path) -> dict[str, Any]:
    """The content of a saved model's ``config.json``.

    Raises:
        ValueError: it is missing, or no JSON object.
    """
    path = folder / "config.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"{folder} does not contain an IRM: it has no config.json") from None
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read as JSON ({error}); copy the model folder again") from None
    if not isinstance(content, dict):
        raise ValueError(
            f"{path} does not contain a JSON object that describes a model; copy the model folder again"
        )
    return content


class HubFolder(PyTorchModelHubMixin):
    """Saves and loads a model that has a ``tokenizer``, whole or not at all."""

    @property
    def tokenizer(self) -> SentenceTokenizer | None:
        """The tokenizer, if the model has one."""
        raise NotImplementedError

    def load_tokenizer(self, folder: Path) -> None:
        """Attach the tokenizer in a folder."""
        raise NotImplementedError

    def save_pretrained(self, save_directory: str | Path, **hub: Any) -> str | None:
        """Write the folder; in one that exists each file is replaced whole.

        Args:
            save_directory: where; made if it does not exist.
            hub: ``push_to_hub``, ``repo_id`` and the other options of ``PyTorchModelHubMixin.push_to_hub``.
        """
        folder = Path(save_directory)
        with staged_folder(folder) as stage:
            super().save_pretrained(stage)
        if hub.pop("push_to_hub", False):
            return self.push_to_hub(hub.pop("repo_id", folder.name), **hub)
        return None

    def save_description(self, folder: Path) -> None:
        """Write a new folder with ``config.json`` and the tokenizer: everything but the weights."""
        folder.mkdir()
        config = json.dumps(self._hub_mixin_config, sort_keys=True, indent=2)
        (folder / "config.json").write_text(config, encoding="utf-8")
        if self.tokenizer is not None:
            self.tokenizer.save(folder)

    def _save_pretrained(self, save_directory: Path) -> None:
        super()._save_pretrained(save_directory)
        if self.tokenizer is not None:
            self.tokenizer.save(save_directory)

    @classmethod
    def _from_pretrained(cls, *, model_id: str, **arguments: Any) -> HubFolder:
        """Load as the hub mixin does, but strictly, then the tokenizer from the same place."""
        folder = Path(model_id)
        local = folder.is_dir()
        for name in ("config.json", "model.safetensors") if local else ():
            if not (folder / name).is_file():
                raise ValueError(f"{folder} does not contain an IRM: it has no {name}")
        try:  # by default the mixin leaves missing tensors at random, and prints
            with redirect_stdout(StringIO()):
                model = super()._from_pretrained(model_id=model_id, **{**arguments, "strict": True})
        except SafetensorError as error:
            raise ValueError(f"model.safetensors of {model_id} is damaged or truncated ({error})") from None
        except RuntimeError as error:
            text = str(error)  # its first line names the module
            reason = " ".join((text.partition(":\n")[2] or text).split())[:300]
            raise ValueError(f"{model_id} contains the weights of a different model: {reason}") from None
        except (ValueError, TypeError, KeyError, AttributeError) as error:  # unsuitable arguments
            raise ValueError(
                f"config.json of {model_id} does not describe a valid {cls.__name__}: {error}"
            ) from error
        if not local:
            options = ("revision", "cache_dir", "force_download", "local_files_only", "token")
            hub = {key: arguments[key] for key in options}
            folder = Path(snapshot_download(model_id, allow_patterns=["tokenizer*", "vocab.txt"], **hub))
        if any((folder / name).is_file() for name in TOKENIZER_FILES):
            model.load_tokenizer(folder)
        return model
