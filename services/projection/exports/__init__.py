"""What is handed on as a file: briefing and letter as a page, a document or PDF, the workbook, CSV."""
