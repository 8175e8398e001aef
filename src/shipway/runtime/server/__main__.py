"""``python -m shipway.runtime.server``."""

from shipway.runtime.server.lifecycle import main

if __name__ == "__main__":
    main()
