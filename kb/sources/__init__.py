"""Readers: text of a page in, a page model out; pure, and no page can do more than be refused."""
