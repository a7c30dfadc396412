"""Floor, ceiling and walls that every room has, and what it is like behind the camera."""

from __future__ import annotations

from studio.sets.scene import Material, Scene
from studio.sets.shapes import box, sheet

HEIGHT_M = 2.75


def enclose(
    scene: Scene, half_width: float, back: float, wall: Material, floor: Material, ceiling: Material
) -> None:
    """Build floor, ceiling, sides and the wall behind the camera; the wall at `back` is the room's own."""
    front = -3.6
    depth = back - front + 0.2
    middle = (back + front) / 2
    scene.add(box(2 * half_width, depth, 0.1), floor, (0, middle, -0.1), backdrop=True)
    scene.add(box(2 * half_width, depth, 0.1), ceiling, (0, middle, HEIGHT_M), backdrop=True)
    scene.add(sheet(2 * half_width, HEIGHT_M), wall, (0, front, 0), backdrop=True)
    for side in (-1, 1):
        scene.add(box(0.1, depth, HEIGHT_M), wall, (side * (half_width + 0.05), middle, 0), backdrop=True)
