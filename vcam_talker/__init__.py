"""vcam_talker: a talking person on a virtual webcam and a virtual microphone, around the clock."""

__version__ = "0.1.0"
