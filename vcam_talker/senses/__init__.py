"""The child process that takes in what comes from outside: ears and chat. It may die at any moment."""
