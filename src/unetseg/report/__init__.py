"""What a person looks at: charts, panels, the HTML page."""
