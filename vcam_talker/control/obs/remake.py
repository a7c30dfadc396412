"""Make an input of OBS anew, as it was: in all its scenes, with its filters and its place in the mixer."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import Any, Final

from vcam_talker.control.obs.connection import NOT_FOUND, ObsConnection, RequestError
from vcam_talker.core.errors import SourceError

log = logging.getLogger(__name__)

_LET_GO_S: Final = 1.0
"""So long after the last Pulse input is gone OBS has given up its connection to the sound server."""
_GONE_S: Final = 5.0
_POLL_S: Final = 0.1
_MIXER: Final = (
    ("InputVolume", "inputVolumeMul"),
    ("InputMute", "inputMuted"),
    ("InputAudioBalance", "inputAudioBalance"),
    ("InputAudioSyncOffset", "inputAudioSyncOffset"),
    ("InputAudioMonitorType", "monitorType"),
    ("InputAudioTracks", "inputAudioTracks"),
)


@dataclass(frozen=True, slots=True)
class _Place:
    """An input in a scene."""

    scene: str
    item: int
    enabled: bool


def in_group(connection: ObsConnection, name: str) -> bool:
    """Return whether an input is in a group, where it can't be put back. Raises SourceError."""
    return any(
        item["sourceName"] == name
        for group in connection.request("GetGroupList")["groups"]
        for item in connection.request("GetGroupSceneItemList", sceneName=group)["sceneItems"]
    )


def remake_input(connection: ObsConnection, name: str) -> str:
    """Remove a sound input and make it again; return its name, another one should OBS keep the old.

    Blocks for a little over a second, 6 s at most. Raises SourceError, also when the user switches to another
    scene collection meanwhile: it would land there.
    """
    collection = _collection(connection)
    found = connection.request("GetInputSettings", inputName=name)
    filters = connection.request("GetSourceFilterList", sourceName=name)["filters"]
    mixer = _mixer(connection, name)
    places = _places(connection, name)
    remove_input(connection, name)
    again = name if _is_gone(connection, name) else f"{name} (anew)"
    if _collection(connection) != collection:
        raise SourceError(
            "OBS",
            f"another scene collection was chosen while '{name}' was made anew: '{collection}' has lost it",
            "Switch back and run 'vcam-talker setup obs'",
        )
    first = places[0] if places else _Place(_first_scene(connection), 0, enabled=False)
    connection.request(
        "CreateInput",
        sceneName=first.scene,
        inputName=again,
        inputKind=found["inputKind"],
        inputSettings=found["inputSettings"],
        sceneItemEnabled=first.enabled,
    )
    for place in places[1:]:
        _try(
            connection,
            "CreateSceneItem",
            sceneName=place.scene,
            sourceName=again,
            sceneItemEnabled=place.enabled,
        )
    for request, values in mixer:
        _try(connection, request, inputName=again, **values)
    for entry in sorted(filters, key=lambda f: int(f["filterIndex"])):
        _add_filter(connection, again, entry)
    return again


def _collection(connection: ObsConnection) -> str:
    return str(connection.request("GetSceneCollectionList")["currentSceneCollectionName"])


def _mixer(connection: ObsConnection, name: str) -> list[tuple[str, dict[str, Any]]]:
    """Return the requests that set the input's place in the mixer as it is now."""
    found = []
    for what, value in _MIXER:
        try:
            found.append((f"Set{what}", {value: connection.request(f"Get{what}", inputName=name)[value]}))
        except RequestError as e:
            log.debug("%s", e)
    return found


def _places(connection: ObsConnection, name: str) -> list[_Place]:
    """Return the scenes that show an input, the one on program first."""
    program = connection.request("GetCurrentProgramScene")["currentProgramSceneName"]
    found = [
        _Place(str(scene["sceneName"]), int(item["sceneItemId"]), bool(item["sceneItemEnabled"]))
        for scene in connection.request("GetSceneList")["scenes"]
        for item in connection.request("GetSceneItemList", sceneName=scene["sceneName"])["sceneItems"]
        if item["sourceName"] == name
    ]
    return sorted(found, key=lambda place: place.scene != program)


def remove_input(connection: ObsConnection, name: str) -> None:
    """Take an input out of every scene, and away. Blocks for some requests. Raises SourceError."""
    # A scene that is not on program would hold on to an input that was only removed.
    for place in _places(connection, name):
        _try(connection, "RemoveSceneItem", sceneName=place.scene, sceneItemId=place.item)
    try:
        connection.request("RemoveInput", inputName=name)
    except RequestError as e:
        if e.code != NOT_FOUND:  # with its last place it went by itself
            raise


def _is_gone(connection: ObsConnection, name: str) -> bool:
    """Wait until OBS has let go of an input, and a while longer; return False when it does not."""
    end_s = time.monotonic() + _GONE_S
    while any(i["inputName"] == name for i in connection.request("GetInputList")["inputs"]):
        if time.monotonic() > end_s:
            return False
        time.sleep(_POLL_S)
    time.sleep(_LET_GO_S)
    return True


def _add_filter(connection: ObsConnection, source: str, entry: dict[str, Any]) -> None:
    name = entry["filterName"]
    _try(
        connection,
        "CreateSourceFilter",
        sourceName=source,
        filterName=name,
        filterKind=entry["filterKind"],
        filterSettings=entry["filterSettings"],
    )
    if not entry["filterEnabled"]:
        _try(connection, "SetSourceFilterEnabled", sourceName=source, filterName=name, filterEnabled=False)


def _try(connection: ObsConnection, request: str, **data: Any) -> None:  # noqa: ANN401 - JSON
    """Ask for what is good to have: the input must come back whatever OBS thinks of the rest."""
    try:
        connection.request(request, **data)
    except RequestError as e:
        log.warning("%s", e)


def _first_scene(connection: ObsConnection) -> str:
    return str(connection.request("GetSceneList")["scenes"][0]["sceneName"])
