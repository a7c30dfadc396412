"""Checks of who thinks of the answers: every brain of the ladder. Sends no question, loads no model."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from vcam_talker.config import BrainConfig, Config
from vcam_talker.core.errors import EngineError, VcamTalkerError
from vcam_talker.core.extras import how_to_install
from vcam_talker.doctor.finding import Finding, Machine
from vcam_talker.doctor.software import installed_version
from vcam_talker.llm.hf_folder import check_folder
from vcam_talker.persona import load_persona

_SERVER_TIMEOUT_S = 2.0
"""Of one look at the server; within the time that all checks have."""
_CONNECT_TIMEOUT_S = 1.5


def check_brain(config: Config, machine: Machine) -> list[Finding]:
    """Look at every brain that `brain.engines` names.

    One that does not work is a warning while another does, since the next one is asked.
    """
    found = [_check(name, config, machine) for name in config.brain.engines]
    if any(finding.state != "fail" for finding in found):
        return [replace(f, state="warn") if f.state == "fail" else f for f in found]
    message = "no brain works: every question gets the persona's fallback line"
    return [*found, Finding("brain", "fail", message, 'Add "script" to brain.engines')]


def _check(name: str, config: Config, machine: Machine) -> Finding:
    match name:
        case "openai":
            return _openai(config)
        case "transformers":
            return _transformers(config.brain, machine)
        case "script":
            return Finding("brain", "ok", "script answers what the persona has lines for")
        case _:
            return Finding("brain", "ok", f"{name} repeats what is asked; it is meant for tests")


def _openai(config: Config) -> Finding:
    brain, remedy = config.brain, "Is the server running? Check brain.openai.url"
    try:
        names = asyncio.run(_models(config))
    except TimeoutError:
        message = f"openai: {brain.openai.url} says nothing within {_SERVER_TIMEOUT_S:g} s"
        return Finding("brain", "fail", message, remedy)
    except VcamTalkerError as e:
        return Finding("brain", "fail", f"openai: {e.what} {e.why}", e.remedy or remedy)
    wanted = brain.openai.model
    if wanted and names and wanted not in names:
        message = f"openai: the server does not list '{wanted}' (there: {', '.join(names[:5])})"
        return Finding("brain", "warn", message, "Check brain.openai.model, or leave it empty")
    model = wanted or next(iter(names), "")
    if not model:
        return Finding("brain", "warn", "openai: the server lists no model", "Set brain.openai.model")
    return Finding("brain", "ok", f"openai: {brain.openai.url} answers; the model is {model}")


async def _models(config: Config) -> list[str]:
    """Return what the server lists. Raises EngineError, TimeoutError."""
    from vcam_talker.llm.openai import OpenAIResponder

    wants = config.brain.openai
    short = wants.model_copy(update={"connect_timeout_s": min(wants.connect_timeout_s, _CONNECT_TIMEOUT_S)})
    client = OpenAIResponder(load_persona(config.persona), config.brain.model_copy(update={"openai": short}))
    try:
        async with asyncio.timeout(_SERVER_TIMEOUT_S):
            return await client.models()
    finally:
        await client.close()


def _transformers(config: BrainConfig, machine: Machine) -> Finding:
    wants = config.transformers
    try:
        model = check_folder(wants.folder)
    except EngineError as e:
        return Finding("brain", "fail", f"transformers: {e.what} {e.why}", e.remedy)
    torch = installed_version("torch")
    if not torch or not installed_version("transformers"):
        lacking = "transformers" if torch else "torch"
        return Finding("brain", "fail", f"transformers: {lacking} is not installed", how_to_install("llm"))
    shown = f"transformers: {model.path.name} ({model.family}) is whole, torch {torch}"
    no_cuda = torch.endswith("+cpu")
    if wants.device == "cuda" and no_cuda:
        message = f"{shown}, which computes on the processor only; 'cuda' is wanted"
        return Finding("brain", "fail", message, "Install torch with CUDA, or set brain.transformers.device")
    free = _available_bytes(machine)
    weights = sum(file.stat().st_size for file in model.path.glob("*.safetensors"))
    if (no_cuda or wants.device == "cpu") and 0 < free < weights:
        message = f"{shown}, but {weights / 1e9:.1f} GB of weights meet {free / 1e9:.1f} GB of free memory"
        return Finding("brain", "warn", message, "Use a smaller model, or free memory")
    return Finding("brain", "ok", f"{shown}, {weights / 1e9:.1f} GB")


def _available_bytes(machine: Machine) -> int:
    """Return the memory that programs can still get (proc(5), MemAvailable, in kB); 0: unknown."""
    amount = machine.text("proc/meminfo").partition("MemAvailable:")[2].partition("kB")[0].strip()
    return int(amount) * 1024 if amount.isdigit() else 0
