"""MLLMReID: a multimodal language model trains a vision tower, and a plain backbone comes out (MLLM 3)."""

from irm.mllm.dialogue import TEMPLATES, DialogueBatch, DialogueEncoder, Turn
from irm.mllm.export import PlainVit, plain_vit
from irm.mllm.llava import VLM, VLMOutput
from irm.mllm.memory import MemoryPlan, plan_memory
from irm.mllm.parts import Parts, load_parts
from irm.mllm.sync_reid import SyncReID, language_loss, overall_loss
from irm.mllm.tuning import Tuning, tune

__all__ = [
    "TEMPLATES",
    "VLM",
    "DialogueBatch",
    "DialogueEncoder",
    "MemoryPlan",
    "Parts",
    "PlainVit",
    "SyncReID",
    "Tuning",
    "Turn",
    "VLMOutput",
    "language_loss",
    "load_parts",
    "overall_loss",
    "plain_vit",
    "plan_memory",
    "tune",
]
