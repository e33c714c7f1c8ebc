/// What subscribers subscribe to. assinante.md §6, §7.
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

struct subscription {
  std::string id{};
  user_id who{}; // a subscriber
  std::string plan_name{};
  std::string status{}; // active, cancelled, …: the migration lists them
  decimal price{};      // a month's, in reais; two decimals
  date start_date{};
  date renewal_date{};
  std::string payment_method{};       // credit_card, debit_card, pix, boleto
  std::string payment_method_last4{}; // empty: none
  std::string shipping_address{};     // JSON object; empty: none
  std::string benefits = "[]";        // JSON array, as answered
  std::string stripe_subscription{};  // empty: none
  time_point created_at{};
  time_point updated_at{};
};

/// The newest that is active.
result<std::optional<subscription>> active_subscription(transaction&, const user_id&);
/// All, newest first.
result<std::vector<subscription>> subscriptions_of(transaction&, const user_id&);
/// Of everybody: for admins.
result<std::optional<subscription>> find_subscription(transaction&, const std::string& id);
result<std::vector<subscription>> list_subscriptions(transaction&, const listing&);
/// By Stripe's id; whose it is tells the row.
result<std::optional<subscription>> find_stripe_subscription(transaction&, const std::string& id);

struct address_change {
  std::string subscription{}; // id
  std::string address{};      // JSON
  time_point at{};
};
/// Of the newest active subscription; nothing without one. Writes the history. Touches subscriber.
result<std::optional<address_change>> change_shipping_address(transaction&, const user_id&,
                                                              const std::string& address,
                                                              const author&, time_point now);

/// Orphaned: there is no such subscriber. A changed address is noted in the history. An outcome
/// each, in the order given. Touches subscriber.
result<std::vector<outcome>> upsert_subscriptions(transaction&, const std::vector<subscription>&,
                                                  const author&, time_point now);

} // namespace binnacle::persistence::assinante
