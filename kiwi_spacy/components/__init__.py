"""Rules on Docs, without torch: sections, status, facts."""
