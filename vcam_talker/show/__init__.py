"""Who speaks next: the queue, the turns, what was heard of each."""
