"""Crawls that end in the memory they began with: what was visited, what is pending."""
