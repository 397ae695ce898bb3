"""From a notebook's parameters to configurations, a module a template: the same code with other numbers."""
