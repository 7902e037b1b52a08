"""farrier and the agent that it replaces, side by side in the same virtual server."""
