"""Write new projects out of templates."""
