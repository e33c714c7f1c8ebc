/// What subscribers were asked to pay. assinante.md §9.
#pragma once

#include "config/base/decimal.hpp"
#include "config/base/errors.hpp"
#include "config/base/time.hpp"
#include "persistence/assinante.hpp"
#include "persistence/transaction.hpp"

#include <optional>
#include <string>
#include <vector>

namespace binnacle::persistence::assinante {

struct invoice {
  std::string id{};
  std::string subscription{}; // id
  std::string number{};       // NF-2025-10-001
  std::string status{};       // pending, paid, overdue, cancelled
  decimal amount{};           // reais, two decimals
  std::string description{};
  date due_date{};
  std::optional<time_point> paid_at{};
  std::string payment_method{}; // credit_card, debit_card, pix, boleto
  std::string stripe_invoice{}; // that it follows; empty: none
  time_point created_at{};
};

struct invoice_filter {
  std::optional<std::int64_t> year{}; // of the due date
  std::string status{};               // empty: any
  std::int64_t limit = 12;
};

/// Latest due date first.
result<std::vector<invoice>> invoices_of(transaction&, const user_id&, const invoice_filter&);

struct invoice_totals {
  decimal paid{}, pending{}, overdue{};
};
/// Of all invoices due in that year.
result<invoice_totals> sum_invoices(transaction&, const user_id&, std::int64_t year);

result<std::optional<invoice>> find_invoice(transaction&, const user_id&, const std::string& id);

/// Of everybody: for admins, and for what follows Stripe.
result<std::optional<invoice>> find_any_invoice(transaction&, const std::string& id);
result<std::optional<invoice>> find_stripe_invoice(transaction&, const std::string& stripe_id);
result<std::vector<invoice>> list_invoices(transaction&, const listing&);

/// Orphaned: there is no such subscription. An outcome each, in the order given. Touches
/// subscriber.
result<std::vector<outcome>> upsert_invoices(transaction&, const std::vector<invoice>&,
                                             time_point now);

} // namespace binnacle::persistence::assinante
