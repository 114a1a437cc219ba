"""python -m greenlight: the same as the greenlight command."""

from greenlight.cli import main

if __name__ == "__main__":
    main()
