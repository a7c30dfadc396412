"""Let OBS open the camera, and print what its source shows as one line of JSON."""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path

from tests.support.obs import ObsClient, obs_studio
from tests.vm.read_frames import open_camera

WIDTH, HEIGHT = 160, 90


def look(obs: ObsClient, device: str, timeout_s: float) -> dict[str, object]:
    """Return the cameras OBS lists, and the middle of eight columns of its picture once there is one."""
    obs.call(
        "CreateInput",
        sceneName="Scene",
        inputName="camera",
        inputKind="v4l2_input",
        inputSettings={"device_id": device, "auto_reset": True},
    )
    listed = obs.call("GetInputPropertiesListPropertyItems", inputName="camera", propertyName="device_id")
    deadline_s = time.monotonic() + timeout_s
    while True:
        picture = obs.screenshot("camera", WIDTH, HEIGHT)
        if picture.any() or time.monotonic() > deadline_s:
            break
        time.sleep(0.5)
    row = [picture[HEIGHT // 4, WIDTH * (2 * i + 1) // 16].tolist() for i in range(8)]
    return {"cameras": {i["itemValue"]: i["itemName"] for i in listed["propertyItems"]}, "row": row}


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("device")
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    # The camera is there once somebody writes to it.
    os.close(open_camera(arguments.device, wait_s=120))
    # llvmpipe compiles for instructions that an emulated processor only claims to have, and crashes.
    env = {"GALLIUM_DRIVER": "softpipe"} if os.environ.get("VM_ACCEL") == "tcg" else {}
    with obs_studio(env, canvas=(WIDTH, HEIGHT), fps=5, timeout_s=300) as obs:
        seen = look(obs, arguments.device, timeout_s=120)
        arguments.out.write_bytes(obs.screenshot_png("camera", WIDTH, HEIGHT))
    print(json.dumps(seen), flush=True)


if __name__ == "__main__":
    main()
