"""What happens in the demo: each scenario plans the reports of one person, enterprise or school."""
