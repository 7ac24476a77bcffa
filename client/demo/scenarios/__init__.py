"""What happens in the demo: each story tells the reports of one person, enterprise or school."""
