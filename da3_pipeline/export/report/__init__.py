"""What people read: report.json, report.html and their pictures."""
