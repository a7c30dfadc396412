"""The net that finds the points of a face: drawn faces, training, judging, and the files that ship."""
