"""What is handed on: the report of a day or a month as page and workbook, the journal, the evidence of a check."""
