"""The course as web pages: `python -m utils.authoring.book` (or `make book`) builds them from the executed notebooks, executing nothing."""
