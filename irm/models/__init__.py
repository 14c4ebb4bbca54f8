"""The networks of both papers: backbones, instruction encoder, editing transformer, fusion, IRM."""

from irm.models.backbone_folder import load_backbone, read_backbone_spec, save_backbone
from irm.models.backbones import BACKBONES, BackboneSpec, build_backbone
from irm.models.bert import TEXT_ENCODERS, TextSpec, load_bert, packaged_minilm, read_text_shape
from irm.models.editing_transformer import EditingTransformer
from irm.models.fusion import Fusion, MatchHead
from irm.models.gated_attention import GatedAttention
from irm.models.instruction_encoder import InstructionEncoder
from irm.models.irm import IRM
from irm.models.match_weights import load_match_head
from irm.models.neck import NeckBank
from irm.models.output import IRMOutput
from irm.models.tokenizer import SentenceTokenizer
from irm.models.tokens import InstructionTokens

__all__ = [
    "BACKBONES",
    "IRM",
    "TEXT_ENCODERS",
    "BackboneSpec",
    "EditingTransformer",
    "Fusion",
    "GatedAttention",
    "IRMOutput",
    "InstructionEncoder",
    "InstructionTokens",
    "MatchHead",
    "NeckBank",
    "SentenceTokenizer",
    "TextSpec",
    "build_backbone",
    "load_backbone",
    "load_bert",
    "load_match_head",
    "packaged_minilm",
    "read_backbone_spec",
    "read_text_shape",
    "save_backbone",
]
