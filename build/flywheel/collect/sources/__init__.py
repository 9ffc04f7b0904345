"""The collectors, one file each; `flywheel.collect` says how one is added."""
