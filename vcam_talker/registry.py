"""Which engines there are: kind -> name -> `module:Class`, imported only when chosen."""

from __future__ import annotations

import difflib
from importlib import import_module
from typing import Any

from vcam_talker.core.errors import ConfigError

ENGINES: dict[str, dict[str, str]] = {
    "responder": {
        "script": "vcam_talker.llm.script:ScriptResponder",
        "openai": "vcam_talker.llm.openai:OpenAIResponder",
        "transformers": "vcam_talker.llm.transformers:TransformersResponder",
        "echo": "vcam_talker.llm.echo:EchoResponder",
    },
    "synthesizer": {
        "flite": "vcam_talker.tts.flite:FliteSynthesizer",
        "espeak-ng": "vcam_talker.tts.espeak_ng:EspeakNgSynthesizer",
        "tone": "vcam_talker.tts.tone:ToneSynthesizer",
    },
    "chat_source": {
        "twitch": "vcam_talker.chat.twitch:TwitchSource",
        "replay": "vcam_talker.chat.replay:ReplaySource",
    },
    "transcriber": {
        "faster-whisper": "vcam_talker.asr.faster_whisper:FasterWhisperTranscriber",
        "pocketsphinx": "vcam_talker.asr.pocketsphinx:PocketsphinxTranscriber",
    },
    "face_driver": {
        "phonemes": "vcam_talker.face.phonemes:PhonemeDriver",
        "audio": "vcam_talker.face.audio:AudioDriver",
        "neural": "vcam_talker.face.neural.driver:NeuralDriver",
        "still": "vcam_talker.face.still:StillDriver",
    },
    "scene": {
        "rig": "vcam_talker.face.rig.scene:RigScene",
        "clip": "vcam_talker.face.clip.scene:ClipScene",
        "still": "vcam_talker.face.still:StillScene",
        "testcard": "vcam_talker.face.testcard:TestcardScene",
    },
}


def find(kind: str, name: str) -> type[Any]:
    """Return the class registered under `name`, importing its module. Raises ConfigError when unknown."""
    table = ENGINES[kind]
    if name not in table:
        near = difflib.get_close_matches(name, table, n=1)
        hint = f"Did you mean '{near[0]}'?" if near else f"There are: {', '.join(table)}"
        raise ConfigError(f"{kind} '{name}'", "no such engine", hint)
    module, _, attribute = table[name].partition(":")
    found: type[Any] = getattr(import_module(module), attribute)
    return found
