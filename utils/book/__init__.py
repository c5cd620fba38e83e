"""The course as web pages: `python -m utils.book` (or `make book`) builds them from the executed notebooks, executing nothing."""
