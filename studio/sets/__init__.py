"""The rooms behind the presenters: modelled by code, path-traced once, shown as a still picture.

`study`, `shop` and `night` describe rooms as plain data; `blender` renders them. `ambient` is the light that
a room sends to the presenter.
"""
