"""``python -m gridtwin`` is the command ``gridtwin``."""

from gridtwin.cli import main

if __name__ == "__main__":
    main()
