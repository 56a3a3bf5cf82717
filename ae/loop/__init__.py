"""The active loop against other ways to choose which designs the tool is run on."""
