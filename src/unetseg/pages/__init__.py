"""What a person looks at: charts, pictures, the report."""
