"""Which family a configuration file is of, and where in it the fields of the language model are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from design.errors import InputError
from design.loader import kind
from frontends.hugging_face.families import FAMILIES, Family
from frontends.hugging_face.fields import Fields

# Architectures that no list of families could hold, and what they are.
ENCODERS = (
    "albert bert big_bird camembert deberta deberta-v2 distilbert electra ernie esm eurobert longformer modernbert"
    " mpnet nomic_bert roberta xlm-roberta xlm-roberta-xl"
)
PAIRS = (
    "bart blenderbot encoder-decoder led longt5 m2m_100 marian mbart mt5 pegasus prophetnet speech-encoder-decoder"
    " switch_transformers t5 t5gemma umt5 vision-encoder-decoder whisper"
)
IMAGES = (
    "align beit clip clip_vision_model convnext deit detr dinov2 resnet sam siglip siglip_vision_model swin vit vit_mae"
)
SOUND = "clap encodec hubert seamless_m4t speecht5 vits wav2vec2 wavlm"
OTHERS: dict[str, str] = {
    **dict.fromkeys(ENCODERS.split(), "an encoder, which generates no text"),
    **dict.fromkeys(PAIRS.split(), "an encoder and a decoder"),
    **dict.fromkeys(IMAGES.split(), "a model of images"),
    **dict.fromkeys(SOUND.split(), "a model of sound"),
}


class Around(NamedTuple):
    """A model of more than text: of which family its text part is where that does not say so, what that has where
    there is none, and whether the embedding is tied where nothing is said around it (None: the text part decides, as
    long as it is not said to be)."""

    family: str
    text: Mapping[str, Any]
    tied: bool | None


MISTRAL3_TEXT = {
    "hidden_size": 5120,
    "intermediate_size": 32768,
    "num_hidden_layers": 40,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "sliding_window": None,
    "vocab_size": 131072,
}
AROUND: dict[str, Around] = {
    "gemma3": Around("gemma3_text", {}, tied=True),
    "llava": Around("llama", {}, tied=None),
    "mistral3": Around("mistral", MISTRAL3_TEXT, tied=True),
}


def family_and_fields(path: str, config: Mapping[str, Any]) -> tuple[Family, Fields]:
    """The family of a configuration and the fields of its language model.

    Raises InputError when it says no architecture, or one that is not known or not a decoder's.
    """
    name = config.get("model_type")
    if type(name) is not str or not name:
        found = "is missing" if name is None else f"is {kind(name)}" if type(name) is not str else "is empty"
        raise InputError(f"{path}, field 'model_type'", found, "the config.json of a Hugging Face model")
    where, given = path, config
    if name not in FAMILIES and name not in OTHERS and (name in AROUND or type(config.get("text_config")) is dict):
        around = AROUND.get(name)
        given = _text(path, config, around)
        name = given.get("model_type", around.family if around else None)
        given = {**given, **_tied(config, around)}
        where = f"{path}, text_config"
    paired = config.get("is_encoder_decoder") or given.get("is_encoder_decoder")
    family = _known(where, name, bool(paired))
    return family, _fields(where, given, family)


def _text(path: str, config: Mapping[str, Any], around: Around | None) -> Mapping[str, Any]:
    """The text part of a model of more than text."""
    text = config.get("text_config")
    if text is None and around:
        return around.text
    if type(text) is not dict:
        raise InputError(f"{path}, field 'text_config'", f"is {kind(text)}", "an object")
    return text


def _tied(config: Mapping[str, Any], around: Around | None) -> dict[str, Any]:
    """What is said around the text part about its embedding."""
    otherwise = around.tied if around else None
    said = config.get("tie_word_embeddings", otherwise)
    free = otherwise is None and (said is None or said is False)
    return {} if free else {"tie_word_embeddings": said}


def _known(where: str, name: object, paired: bool) -> Family:
    """The family of that name, if no encoder is `paired` with its decoder. Raises InputError."""
    families = f"one of {', '.join(FAMILIES)}"
    shown = f"architecture '{name[:40]}'" if type(name) is str else "an architecture without a name"
    if type(name) is str and name in OTHERS:
        raise InputError(where, f"{shown} is {OTHERS[name]}", f"a decoder of text: {families}")
    if paired:
        raise InputError(where, f"{shown} is an encoder and a decoder", f"a decoder of text: {families}")
    if type(name) is not str or name not in FAMILIES:
        raise InputError(where, f"{shown} is not known", f"a layer of it exported to ONNX (--onnx), or {families}")
    return FAMILIES[name]


def _fields(where: str, given: Mapping[str, Any], family: Family) -> Fields:
    """Its fields, where none makes it another model than the family's."""
    if given.get("per_layer_config"):
        raise InputError(f"{where}, field 'per_layer_config'", "changes layers one by one", "layers of a few kinds")
    for name, value in family.must.items():
        if given.get(name) is not None and (given[name] != value or type(given[name]) is not type(value)):
            stated = str(value).lower()
            raise InputError(f"{where}, field '{name}'", f"is not {stated}", f"{stated}: otherwise it is another model")
    return Fields(where, given, family.defaults, family.names)
