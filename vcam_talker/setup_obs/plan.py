"""What has to change in this OBS, and how: asked of OBS itself, so that a second run finds nothing to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from vcam_talker.control.obs.connection import ObsConnection
from vcam_talker.control.obs.remake import remove_input
from vcam_talker.core.errors import SourceError
from vcam_talker.setup_obs.sources import Source, Wish


@dataclass(frozen=True, slots=True)
class Step:
    """One change in OBS. `do` blocks for a few requests and raises SourceError."""

    title: str
    do: Callable[[ObsConnection], None]


@dataclass(frozen=True, slots=True)
class ObsPlan:
    """Everything that would change, in order; no steps: all is as it should be."""

    scene: str
    steps: tuple[Step, ...]
    notes: tuple[str, ...] = ()


def plan(obs: ObsConnection, wish: Wish, scene: str) -> ObsPlan:
    """Work out how OBS gets the scene and its sources. Changes nothing; blocks for some requests."""
    steps: list[Step] = []
    inputs = {str(i["inputName"]): str(i["inputKind"]) for i in obs.request("GetInputList")["inputs"]}
    there = scene in _scenes(obs)
    if not there:
        steps.append(Step(f"Make the scene '{scene}'", lambda o: _ask(o, "CreateScene", sceneName=scene)))
    items = _items(obs, scene) if there else set()
    for source in wish.sources:
        kind = inputs.get(source.name)
        if kind is not None and not kind.startswith(source.kind.rpartition("_v")[0] or source.kind):
            raise SourceError(
                f"OBS's source '{source.name}'",
                f"is a {kind}, not a {source.kind}",
                "Rename or remove it there",
            )
        steps += _steps_for(obs, source, scene, known=kind is not None, placed=source.name in items)
    return ObsPlan(scene, tuple(steps), wish.notes)


def plan_removal(obs: ObsConnection, names: tuple[str, ...], scene: str) -> ObsPlan:
    """Work out how our inputs and the scene go again."""
    inputs = {str(i["inputName"]) for i in obs.request("GetInputList")["inputs"]}
    scenes = _scenes(obs)
    steps = [
        Step(f"Remove the source '{name}'", lambda o, n=name: remove_input(o, n))  # type: ignore[misc]
        for name in names
        if name in inputs
    ]
    notes: tuple[str, ...] = ()
    others = _items(obs, scene) - set(names) if scene in scenes else set()
    if others:
        notes = (f"The scene '{scene}' stays: it shows {', '.join(sorted(others))} as well.",)
    elif scene in scenes and len(scenes) > 1:
        steps.append(Step(f"Remove the scene '{scene}'", lambda o: _ask(o, "RemoveScene", sceneName=scene)))
    elif scene in scenes:
        notes = (f"The scene '{scene}' stays: OBS can't be without any.",)
    return ObsPlan(scene, tuple(steps), notes)


def _steps_for(obs: ObsConnection, source: Source, scene: str, *, known: bool, placed: bool) -> list[Step]:
    if not known:
        return [Step(f"Add the {source.role} source '{source.name}'", lambda o: add(o, source, scene))]
    steps = []
    settings = _resolved(obs, source)
    have = obs.request("GetInputSettings", inputName=source.name)["inputSettings"]
    if any(have.get(key) != value for key, value in settings.items()):
        steps.append(
            Step(
                f"Set up the {source.role} source '{source.name}': "
                + ", ".join(f"{key} = {value}" for key, value in settings.items()),
                lambda o: _ask(
                    o, "SetInputSettings", inputName=source.name, inputSettings=settings, overlay=True
                ),
            )
        )
    if not placed:
        steps.append(Step(f"Put '{source.name}' into the scene", lambda o: _place_known(o, source, scene)))
    return steps


def add(obs: ObsConnection, source: Source, scene: str) -> None:
    """Make an input that is not there, set up and placed. Raises SourceError."""
    made = obs.request(
        "CreateInput",
        sceneName=scene,
        inputName=source.name,
        inputKind=source.kind,
        inputSettings={**source.look, **source.settings},
        sceneItemEnabled=True,
    )
    if source.choose is not None:
        settings = _resolved(obs, source)
        _ask(obs, "SetInputSettings", inputName=source.name, inputSettings=settings, overlay=True)
    _place(obs, source, scene, int(made["sceneItemId"]))


def _resolved(obs: ObsConnection, source: Source) -> dict[str, Any]:
    """Return the settings with what has to be looked up in OBS's own list of devices."""
    if source.choose is None:
        return dict(source.settings)
    key, label = source.choose
    listed = obs.request("GetInputPropertiesListPropertyItems", inputName=source.name, propertyName=key)
    for item in listed["propertyItems"]:
        if label.lower() in str(item["itemName"]).lower():
            return {**source.settings, key: item["itemValue"]}
    raise SourceError(f"the {source.role} '{label}'", "OBS does not list it", "See 'vcam-talker doctor'")


def _place_known(obs: ObsConnection, source: Source, scene: str) -> None:
    made = obs.request("CreateSceneItem", sceneName=scene, sourceName=source.name)
    _place(obs, source, scene, int(made["sceneItemId"]))


def _place(obs: ObsConnection, source: Source, scene: str, item: int) -> None:
    if not source.transform:
        return
    where = {"sceneName": scene, "sceneItemId": item}
    _ask(obs, "SetSceneItemTransform", **where, sceneItemTransform=dict(source.transform))
    if source.role == "camera":
        # Captions and whatever else is there stay in front of it.
        _ask(obs, "SetSceneItemIndex", **where, sceneItemIndex=0)


def _scenes(obs: ObsConnection) -> set[str]:
    return {str(scene["sceneName"]) for scene in obs.request("GetSceneList")["scenes"]}


def _items(obs: ObsConnection, scene: str) -> set[str]:
    found = obs.request("GetSceneItemList", sceneName=scene)["sceneItems"]
    return {str(item["sourceName"]) for item in found}


def _ask(obs: ObsConnection, request: str, **data: Any) -> None:  # noqa: ANN401 - JSON
    obs.request(request, **data)
