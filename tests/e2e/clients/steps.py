"""What the Python scripts of this folder share: each step prints its name and what came of it, or the error.

A script prints nothing that differs from run to run, so that its output straight to a server and through the proxy
can be compared.
"""


def step(name, action):
    try:
        print(name, action())
    except Exception as error:  # whatever it is belongs to the output
        print(name, "failed:", type(error).__name__, str(error).split("\n")[0][:120])
