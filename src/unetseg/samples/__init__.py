"""From an archive to arrays: images, merged masks, label maps."""
