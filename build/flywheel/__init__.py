"""The pipeline of Tinker Flywheel: from posts that were read to a public database and its figures."""
