"""What the library gives away in the forms that other programs read."""
