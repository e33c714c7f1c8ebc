/// What was sent to subscribers. assinante.md §8.
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

struct order {
  std::string id{};
  std::string subscription{};     // id
  std::string number{};           // SV-2025-001234
  std::string status{};           // pending, processing, shipped, delivered, cancelled
  decimal total{};                // reais, two decimals; as charged
  std::string items = "[]";       // JSON array, as answered
  std::string shipping_address{}; // JSON object; empty: none
  std::string tracking_code{};    // empty: none
  std::optional<time_point> shipped_at{};
  std::optional<time_point> delivered_at{};
  time_point created_at{};
};

struct order_filter {
  std::string status{}; // empty: any
  std::int64_t limit = 10;
  std::int64_t offset = 0;
};

struct order_page {
  std::vector<order> orders{};
  std::int64_t total = 0; // with the filter's status, whatever the page
};

/// Of all the subscriber's subscriptions, newest first. In a snapshot the total agrees with the
/// rows.
result<order_page> orders_of(transaction&, const user_id&, const order_filter&);

/// Of everybody: for admins.
result<std::optional<order>> find_order(transaction&, const std::string& id);
result<std::vector<order>> list_orders(transaction&, const listing&);

/// Orphaned: there is no such subscription. An outcome each, in the order given. Touches
/// subscriber.
result<std::vector<outcome>> upsert_orders(transaction&, const std::vector<order>&, time_point now);

} // namespace binnacle::persistence::assinante
