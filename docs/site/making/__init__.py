"""What makes pages of the site from what the project has anyway."""
