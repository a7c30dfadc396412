"""How a folder's chat template makes tokens of messages, and which of them end an answer."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from jinja2 import TemplateError

from vcam_talker.core.errors import EngineError

if TYPE_CHECKING:  # imports torch
    from transformers import PreTrainedTokenizerBase

log = logging.getLogger(__name__)

Messages = list[dict[str, str]]

_CHATML: Final = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_INSTRUCT: Final = (
    "{{ bos_token or '' }}{% for m in messages %}{% if m['role'] == 'assistant' %} {{ m['content'] }}"
    "{{ eos_token or '' }}{% else %}[INST] {{ m['content'] }} [/INST]{% endif %}{% endfor %}"
)
"""As Llama 2 and the first Mistral models were trained."""
_SYSTEM_MARK, _ASKED_MARK, _SAID_MARK, _AGAIN_MARK = "alpha", "beta", "gamma", "delta"
_PROBE: Final[Messages] = [
    {"role": "system", "content": _SYSTEM_MARK},
    {"role": "user", "content": _ASKED_MARK},
    {"role": "assistant", "content": _SAID_MARK},
    {"role": "user", "content": _AGAIN_MARK},
]


class ChatFormat:
    """One tokenizer's format, tried out when it is made. Not thread-safe."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, folder: str) -> None:
        """Raise EngineError when the folder's template can't make a prompt."""
        self._tokenizer: Any = tokenizer
        self._folder = folder
        self._template: str | None = None
        if not tokenizer.chat_template:
            self._template = _CHATML if "<|im_start|>" in self._tokenizer.get_vocab() else _INSTRUCT
            log.info("%s has no chat template; one of the usual ones is used", folder)
        self._merges = False
        self._merges = not self._takes_system()
        self.opens_thought = self._render(self._merged(_PROBE)).rstrip().endswith("<think>")
        """The prompt itself opens the model's reasoning."""

    def tokens(self, messages: Messages) -> list[int]:
        """Return the prompt that `messages` make, up to where the answer begins. Raises EngineError."""
        text = self._render(self._merged(messages))
        return [int(token) for token in self._tokenizer.encode(text, add_special_tokens=False)]

    def end_tokens(self) -> set[int]:
        """Return the tokens that end an answer: those that are no text, and what the template writes there.

        A model that opens a viewer's turn instead of ending its own must not speak for the viewer.
        """
        added = self._tokenizer.added_tokens_decoder
        found = {int(token) for token, entry in added.items() if entry.special}
        text = self._render(self._merged(_PROBE))
        behind = text.partition(_SAID_MARK)[2].partition(_AGAIN_MARK)[0]
        tokens = self._tokenizer.encode(behind, add_special_tokens=False)
        found |= {int(token) for token in tokens[:1] if token in added}
        return found - {self._tokenizer.unk_token_id}

    def _takes_system(self) -> bool:
        """Tell whether the template has a system role, and puts it where it stays: before the first line.

        Some refuse it; some put it before the last line, where no prompt would share a prefix with the next.
        """
        try:
            text = self._render(_PROBE)
        except EngineError:
            return False
        return 0 <= text.find(_SYSTEM_MARK) < text.find(_ASKED_MARK)

    def _merged(self, messages: Messages) -> Messages:
        """Return messages that the template takes: the system's words may stand in the first line."""
        if not self._merges or len(messages) < 2 or messages[0]["role"] != "system":
            return messages
        first = f"{messages[0]['content']}\n\n{messages[1]['content']}"
        return [{"role": messages[1]["role"], "content": first}, *messages[2:]]

    def _render(self, messages: Sequence[dict[str, str]]) -> str:
        try:
            text = self._tokenizer.apply_chat_template(
                list(messages),
                chat_template=self._template,
                tokenize=False,
                add_generation_prompt=True,
                enable_thinking=False,  # an answer is awaited; templates without that switch don't look at it
            )
        except (TemplateError, TypeError, ValueError, KeyError, AttributeError) as e:
            raise EngineError(
                f"the chat template in {self._folder}",
                f"can't make a prompt ({' '.join(str(e).split())[:160]})",
                "Fetch the tokenizer's files again",
            ) from e
        return str(text)
