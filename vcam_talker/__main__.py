"""`python -m vcam_talker` is `vcam-talker`."""

from vcam_talker.cli import main

if __name__ == "__main__":
    main()
