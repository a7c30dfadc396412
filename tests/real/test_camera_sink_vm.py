"""The camera sink on a real v4l2loopback, in a virtual machine: one boot, several observations."""

from __future__ import annotations

import pytest

from tests.support import vm

pytestmark = [pytest.mark.real, pytest.mark.vm]

WIDTH, HEIGHT, FPS = 320, 180, 10
FRAMES = 15

SCRIPT = f"""
set +e
sink="python -m vcam_talker.air.sinks.camera {vm.CAMERA} --size {WIDTH}x{HEIGHT} --fps {FPS}"
look='from vcam_talker.air.sinks.v4l2 import *; c = find_camera("", 10); print(c.output, c.capture)'
$sink --seconds 150 & writer=$!
until [ "$(python -c "$look")" = "False True" ]; do sleep 0.2; done
$sink --seconds 1 2>$VM_OUT/second; echo second $?
timeout 180 ffmpeg -v error -f v4l2 -i {vm.CAMERA} -frames:v {FRAMES} -f rawvideo -y $VM_OUT/frames.yuv
ffprobe -v error -f v4l2 -show_entries stream=width,height,pix_fmt,r_frame_rate -of csv=p=0 {vm.CAMERA}
kill -9 $writer; wait $writer
echo killed $(python -c "$look")
python - <<'END'
import numpy, pyvirtualcam
form = pyvirtualcam.PixelFormat.I420
camera = pyvirtualcam.Camera({WIDTH}, {HEIGHT}, {FPS}, fmt=form, device="{vm.CAMERA}")
camera.send(numpy.zeros({WIDTH * HEIGHT * 3 // 2}, numpy.uint8))
camera.close()
END
echo orphaned $(python -c "$look")
$sink --seconds 1; echo revived $?
echo after $(python -c "$look")
"""


@pytest.fixture(scope="module")
def result() -> vm.VmResult:
    return vm.run(SCRIPT, timeout_s=600).check()


def test_a_reader_gets_our_picture_size_and_rate(result: vm.VmResult) -> None:
    assert f"yuv420p,{FPS}/1" in result.stdout
    frames = (result.out_dir / "frames.yuv").read_bytes()
    size = WIDTH * HEIGHT * 3 // 2
    assert len(frames) == FRAMES * size
    first_row = frames[:WIDTH]
    assert first_row[0] in {16, 235}
    assert len(set(first_row)) > 100, "the ramp of the pattern"
    # The driver has two buffers: a reader that is held up sees the newer one in both.
    pictures = {frames[i * size : (i + 1) * size] for i in range(FRAMES)}
    assert len(pictures) >= 0.6 * FRAMES, "frame after frame is another"


def test_a_second_writer_is_refused_by_name(result: vm.VmResult) -> None:
    assert "second 4" in result.stdout
    assert "another program writes to it: python" in (result.out_dir / "second").read_text()


def test_a_killed_writer_leaves_the_device_free(result: vm.VmResult) -> None:
    assert "killed True False" in result.stdout


def test_a_device_that_forgot_its_output_is_revived(result: vm.VmResult) -> None:
    # What v4l2loopback 0.12 does after a writer like pyvirtualcam's; later versions offer it again at once.
    assert "orphaned False False" in result.stdout or "orphaned True False" in result.stdout
    assert "revived 0" in result.stdout
    assert "after True False" in result.stdout
