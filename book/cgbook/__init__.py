"""How the book is made: templates to runs to pages to HTML, and the tables and figures that its chapters show."""
