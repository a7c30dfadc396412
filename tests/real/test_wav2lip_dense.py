"""The full-size Wav2Lip generator: its outputs are the published network's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from tests.support.wav2lip_nets import inputs, net, one_thread
from tests.support.wav2lip_reference import generator

pytestmark = pytest.mark.real


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    with one_thread():
        yield


@pytest.mark.parametrize("size", [96, 256])
def test_outputs_equal_the_published_network_s(size: int) -> None:
    network = net(size)
    mel, face = inputs(size)
    found = network(mel, face)
    expected = generator(network.state_dict(), size, mel, face)
    assert found.shape == (1, 3, size, size)
    assert float(expected.std()) > 0.05  # a flat picture would prove nothing
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=1e-5)


def test_the_lower_half_of_the_dense_network_in_float32() -> None:
    network = net(96)
    mel, face = inputs(96)
    code, features = network.encode_sound(mel), network.encode_face(face)
    whole, lower = network.decode(code, features), network.decode_lower(code, features)
    torch.testing.assert_close(lower, whole[:, :, 48:], rtol=0, atol=1e-4)
    torch.testing.assert_close(lower, network.decode_lower_rows(code, network.lower_rows(features)))
