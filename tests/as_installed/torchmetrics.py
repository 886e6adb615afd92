"""In place of torchmetrics for the programs that tests start: users have none, and Lightning takes 2 s to import it.

It is a reference for tests alone, and `lightning_fabric` imports it wherever it is installed.
"""

raise ModuleNotFoundError("torchmetrics is for the process of the tests", name="torchmetrics")
