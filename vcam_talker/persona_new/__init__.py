"""Makes a persona of a photograph or a clip: finds the face, makes it live, writes the folder."""
