"""The daily close report: what one business day's figures are, as one page and one workbook."""
