"""The monocular students: relative depth from a teacher's labels alone, and metric depth."""
