-- Unexplained balance movement yesterday
-- What the balances did that no operation accounts for: closing − opening − movements. For the finance role (recon.*).
SELECT account, balance_name, currency, opening_minor, movements_minor, closing_minor, unexplained_minor
FROM recon.balance_rollforward
WHERE business_date = bi.today() - 1 AND unexplained_minor <> 0
ORDER BY currency, abs(unexplained_minor) DESC, account, balance_name
