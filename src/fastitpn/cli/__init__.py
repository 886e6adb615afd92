"""The command `fastitpn`: one file per verb. Importing it must not import torch, so that --help is quick."""
