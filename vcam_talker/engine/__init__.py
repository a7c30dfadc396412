"""The child process: brain, voice and face models. It may die at any moment; air goes on without it."""
