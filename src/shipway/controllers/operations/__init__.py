"""What a person asks for once and waits for: it joins ports as a reconcile does, and leaves nothing to reconcile.

Every operation may be cancelled or killed at any line and asked for again; it tells :class:`shipway.transfer.Progress`.
"""
