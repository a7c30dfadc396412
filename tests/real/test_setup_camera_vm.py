"""`vcam-talker setup camera` on a real kernel: OBS's camera stays, ours comes, twice changes nothing."""

from __future__ import annotations

import json

import pytest

from tests.support import vm

pytestmark = [pytest.mark.real, pytest.mark.vm]

SCRIPT = """
names() { for node in /sys/class/video4linux/video*; do echo "${node##*/}=$(cat "$node/name")"; done; }
echo 'options v4l2loopback video_nr=4 card_label="OBS Cam" exclusive_caps=1' >/etc/modprobe.d/obs.conf
modprobe v4l2loopback
names >"$VM_OUT/before"
vcam-talker setup camera --yes
names >"$VM_OUT/after"
vcam-talker setup camera >"$VM_OUT/again" </dev/null
vcam-talker doctor --json >"$VM_OUT/doctor" || true
vcam-talker setup camera --remove --yes
names >"$VM_OUT/removed"
ls /etc/modprobe.d /etc/modules-load.d >"$VM_OUT/files"
"""


def test_setup_camera_on_a_real_kernel() -> None:
    done = vm.run(SCRIPT, modules=None, timeout_s=600).check()

    def read(name: str) -> list[str]:
        return (done.out_dir / name).read_text().splitlines()

    assert read("before") == ["video4=OBS Cam"]
    assert sorted(read("after")) == ["video10=vcam_talker", "video4=OBS Cam"]
    assert "Nothing is to be done" in read("again")[0]
    camera = [finding for finding in json.loads("\n".join(read("doctor"))) if finding["area"] == "camera"]
    assert [finding["state"] for finding in camera] == ["ok", "ok"], camera
    assert "/dev/video10 'vcam_talker'" in camera[-1]["message"]
    assert read("removed") == ["video4=OBS Cam"]
    assert not [name for name in read("files") if "vcam-talker" in name]
