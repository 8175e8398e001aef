"""What every face does with a hub: name its objects, keep a world of them fresh, bring a project up, follow it.

The command line and the Python library stand on this room. It knows no terminal and prints nothing.
A module ``NAME_async`` is the source of ``NAME``, its synchronous twin: ``make twins`` writes that one.
"""
