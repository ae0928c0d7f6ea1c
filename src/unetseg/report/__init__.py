"""Charts, pictures of images, and the HTML page."""
