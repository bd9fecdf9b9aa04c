"""What is known of each HTTP library's requests and responses: one file a library."""
