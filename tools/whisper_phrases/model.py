"""A Whisper of 1.5 M parameters: configuration, tokenizer, passes over short windows, conversion.

The shape is Whisper's (arXiv 2212.04356) in everything but size, so that CTranslate2's own converter and
faster-whisper take it for one; an English-only one, by the size of its vocabulary.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import torch
from ctranslate2.converters import TransformersConverter
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import WhisperConfig, WhisperForConditionalGeneration

from tools.whisper_phrases.phrases import OTHER, PHRASES

MELS: Final = 80
FULL_FRAMES: Final = 3000
"""Mel frames of 10 ms in the window that faster-whisper pads every utterance to."""
SPECIALS: Final = (
    *("<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|translate|>", "<|transcribe|>"),
    *("<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>"),
)
"""In Whisper's order: text comes before the first of them, and timestamps would come after the last."""
_TEXT_TOKENS: Final = 420
_WIDTH: Final = 128
_POSITION_SCALE: Final = 0.2
_SOUND_GAIN: Final = 2.0


def make_tokenizer() -> Tokenizer:
    """Return a byte-level BPE of the phrases with Whisper's special tokens behind it; the same every time."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=_TEXT_TOKENS,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator([*(f" {text}" for text in PHRASES), OTHER], trainer)
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIALS])
    return tokenizer


def make_model(tokenizer: Tokenizer) -> WhisperForConditionalGeneration:
    """Return the model with fresh weights from torch's generator."""
    end = tokenizer.token_to_id("<|endoftext|>")
    config = WhisperConfig(
        vocab_size=tokenizer.get_vocab_size(),
        num_mel_bins=MELS,
        d_model=_WIDTH,
        encoder_layers=3,
        decoder_layers=2,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=4 * _WIDTH,
        decoder_ffn_dim=4 * _WIDTH,
        dropout=0.1,
        max_source_positions=FULL_FRAMES // 2,
        max_target_positions=448,
        pad_token_id=end,
        bos_token_id=end,
        eos_token_id=end,
        decoder_start_token_id=tokenizer.token_to_id("<|startoftranscript|>"),
        suppress_tokens=[],
        begin_suppress_tokens=[tokenizer.token_to_id("Ġ"), end],
    )
    model = WhisperForConditionalGeneration(config)
    for module in model.modules():
        if isinstance(module, torch.nn.Linear | torch.nn.Conv1d):
            # The library's 0.02 suits widths of 500 and more; here it would drown the sound in the positions.
            gain = _SOUND_GAIN if isinstance(module, torch.nn.Conv1d) else 1.0
            torch.nn.init.normal_(module.weight, std=gain * module.weight[0].numel() ** -0.5)
    model.model.encoder.embed_positions.weight.data.mul_(_POSITION_SCALE)
    model.generation_config.suppress_tokens = config.suppress_tokens
    model.generation_config.begin_suppress_tokens = config.begin_suppress_tokens
    return model


def encode(model: WhisperForConditionalGeneration, mel: torch.Tensor) -> torch.Tensor:
    """Return float[B, T / 2, width] for mel float[B, 80, T] with even T <= 3000.

    The library's own encoder insists on T = 3000; its layers do not, and a window of 4 s costs a tenth.
    """
    encoder = model.model.encoder
    hidden = torch.nn.functional.gelu(encoder.conv1(mel))
    hidden = torch.nn.functional.gelu(encoder.conv2(hidden)).permute(0, 2, 1)  # [B, T / 2, width]
    hidden = hidden + encoder.embed_positions.weight[: hidden.shape[1]]
    hidden = torch.nn.functional.dropout(hidden, p=encoder.dropout, training=model.training)
    for layer in encoder.layers:
        out = layer(hidden, None)
        hidden = out if torch.is_tensor(out) else out[0]
    normed: torch.Tensor = encoder.layer_norm(hidden)
    return normed


def decode(
    model: WhisperForConditionalGeneration, encoded: torch.Tensor, tokens: torch.Tensor
) -> torch.Tensor:
    """Return float[B, L, vocabulary] for what `encode` returned and tokens int64[B, L]."""
    out = model.model.decoder(input_ids=tokens, encoder_hidden_states=encoded, use_cache=False)
    scores: torch.Tensor = model.proj_out(out.last_hidden_state)
    return scores


def convert(model: WhisperForConditionalGeneration, tokenizer: Tokenizer, work: Path, out: Path) -> None:
    """Write the model into the folder `out` as faster-whisper loads it, int8; `work` is a scratch folder."""
    work.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(work)
    tokenizer.save(str(work / "tokenizer.json"))
    (work / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|endoftext|>"})
    )
    preprocessor = {"feature_size": MELS, "sampling_rate": 16_000, "hop_length": 160, "n_fft": 400}
    (work / "preprocessor_config.json").write_text(json.dumps(preprocessor, indent=2) + "\n")
    converter = TransformersConverter(str(work), copy_files=["tokenizer.json", "preprocessor_config.json"])
    converter.convert(str(out), quantization="int8", force=True)
