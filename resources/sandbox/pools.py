"""What drawn operations are made of: projects, currencies, names, texts; no chance, no structure."""

from __future__ import annotations

from typing import Final

# project → its share, its name, its currencies (the first are the most used), how it numbers its payments.
# Two projects number alike on purpose: a payment_id is unique within a project only.
PROJECTS: Final = {
    198: (45, "Cosmo1", ("EUR", "EUR", "EUR", "USD", "GBP", "PLN", "SEK", "KWD"), "order-{}"),
    1042: (30, "東京ストア", ("JPY", "JPY", "USD", "KRW", "CLF", "CLP"), "{}"),
    3055: (18, "Nordwind Spiele GmbH", ("USD", "EUR", "GBP", "BRL", "INR", "BHD"), "{}"),
    6411: (7, "Łódź & Søn — каса", ("RUB", "EUR", "KZT", "IQD", "TRY", "VND"), "INV/2026/{:08d}"),
}
SETTLEMENT: Final = {198: "EUR", 1042: "JPY", 3055: "USD", 6411: "EUR"}
# Rough worth of one major unit in USD, to convert with.
USD_WORTH: Final = {
    "USD": 1.0,
    "EUR": 1.09,
    "GBP": 1.27,
    "PLN": 0.25,
    "SEK": 0.095,
    "KWD": 3.25,
    "JPY": 0.0067,
    "KRW": 0.00075,
    "CLF": 40.0,
    "CLP": 0.0011,
    "BRL": 0.2,
    "INR": 0.012,
    "BHD": 2.65,
    "RUB": 0.011,
    "KZT": 0.0022,
    "IQD": 0.00076,
    "TRY": 0.031,
    "VND": 0.00004,
}

# name, type, how an account number of it looks (`{0}` four to eight digits)
METHODS: Final = (
    ("visa", "card", "424242******{:04d}"),
    ("visa", "card", "401288******{:04d}"),
    ("mastercard", "card", "555555******{:04d}"),
    ("mastercard", "card", "222300******{:04d}"),
    ("visa", "card", "400000******{:04d}"),
    ("maestro", "card", "676770******{:04d}"),
    ("amex", "card", "378282*****{:04d}"),
    ("neteller", "ewallet", "4501{:08d}"),
    ("skrill", "ewallet", "payer.{:04d}@example.com"),
    ("jcb", "card", "353011******{:04d}"),
    ("sepa", "bank_transfer", "DE89************{:04d}"),
    ("visa", "card", "424242******{:04d}"),
    ("mastercard", "card", "510510******{:04d}"),
    ("visa", "card", "411111******{:04d}"),
    ("unionpay", "card", "620000******{:04d}"),
    ("pix", "bank_transfer", ""),
)
DESCRIPTIONS: Final = (
    "Order №{}",
    "Order {}",
    "Заказ №{} — оплата",
    "注文 {} 東京",
    "Top up {}",
    "Café Zoë, table {}",
    "Abonnement n° {}",
    "Zażółć gęślą jaźń {}",
    "",
    "Ticket {}: 2 ✕ 🎫",
    "Invoice #{}",
    "طلب رقم {}",
    "Subscription {}",
    "Order {} a:b;c",
    "Straße {}, Köln",
    "  padded {}  ",
)
HOSTILE: Final = (
    "=cmd|' /C calc'!A0",
    "<script>alert('{}')</script>",
    "Robert'); DROP TABLE operations;--",
    'He said "pay {}", then \\"left\\"',
    "first line\nsecond line\r\nthird\tcolumn",
    "@SUM(1+1)*cmd|'/c calc'!A0",
    "operations:0:arn:00;operations:1:arn:00",
    "\\N",
    "NULL",
    "../../etc/passwd\u202e{}",
    "+1{}",
    "{{{{ 7*7 }}}} ${{jndi:ldap://x}} %s %d",
    "a\u0001b",
    "e\u0301 versus \u00e9",
    "\ufeffbyte order mark",
    "-1,000.00",
)
ANSWERS: Final = (  # the provider's code and message of a decline or an error
    ("05", "Do not honor"),
    ("051", "Insufficient funds"),
    ("0014", "Invalid card number"),
    ("54", "Expired card"),
    ("", "Declined by issuer"),
    ("091", "Issuer unavailable — réessayez"),
    ("00057", "Transaction not permitted"),
    ("3DS-U", "Authentication failed"),
)
BANKS: Final = (
    *("Sparkasse Köln-Bonn", "Banco de São Paulo", "Сбербанк", "三井住友銀行"),
    *("Bank of Made-Up", "Kuwait Sample Bank", "PKO Przykład", ""),
)
COUNTRIES: Final = ("DE", "BR", "RU", "JP", "US", "KW", "PL", "GB")
HOLDERS: Final = (*("JANE DOE", "ZOË ÅNGSTRÖM", "Иван Иванов", "山田 太郎", "O'NEILL/PAT", "", "MARÍA JOSÉ", "X"),)
FRAUD_TYPES: Final = (
    *("Card Not Present Fraud", "Lost Fraud", "Stolen Fraud", "Counterfeit Card Fraud"),
    *("Account Takeover Fraud", "Fraudulent Use of Account Number", "", "Miscellaneous"),
)
# Shares of the hours of a day (UTC) and of the days of a week from Monday on.
HOURS: Final = (5, 4, 3, 2, 2, 3, 5, 8, 11, 13, 14, 15, 16, 15, 15, 15, 16, 17, 19, 20, 19, 16, 12, 8)
WEEKDAYS: Final = (10, 10, 11, 12, 15, 17, 13)
