"""Everything a person looks at: charts, pictures, console tables and the HTML report of a run."""
