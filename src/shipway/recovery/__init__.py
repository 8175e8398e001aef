"""When bytes on the disk are not what was written: find it, say what can be saved, save it; back up and restore."""
