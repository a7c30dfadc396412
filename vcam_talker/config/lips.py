"""How the persona's mouth is drawn: by a network in a process of its own, or between pre-rendered shapes."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from vcam_talker.config.base import Section


class LipsConfig(Section):
    """The lips: network, engine, patience."""

    enabled: Literal["auto", "off"] = "auto"
    """`auto`: a network draws those of a persona made of pictures, when there is one and an engine to run
    it; pre-rendered shapes until it is ready, and whenever it is not. `off`: shapes alone."""
    model: str = Field("", max_length=4096)
    """A folder (with a slash in it), a model's name or `shapes`; empty: the persona's own, or the shipped."""
    engine: Literal["auto", "ort", "openvino", "ort-openvino", "cuda", "tensorrt", "torch"] = "auto"
    """`auto`: the fastest on this machine, measured once."""
    precision: Literal["auto", "fp32", "fp16", "bf16", "int8"] = "auto"
    threads: int = Field(0, ge=0, le=64)
    """0: all cores but one, of a container those that its quota leaves; 4 at most, 16 for large networks."""
    deadline_ms: float = Field(20.0, ge=1.0, le=100.0)
    """How long a frame waits for its mouth before the shapes step in; at most 60 % of a frame's period."""
