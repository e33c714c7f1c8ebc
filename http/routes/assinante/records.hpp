/// Rows of the surface as they come in from outside: an admin's body or a line of an import. Both
/// have the names and the forms that the answers have (assinante.md §6, §8, §9), so that what was
/// read can be sent back.
#pragma once

#include "config/base/errors.hpp"
#include "config/base/time.hpp"
#include "persistence/assinante_invoices.hpp"
#include "persistence/assinante_orders.hpp"
#include "persistence/assinante_subscriptions.hpp"
#include "persistence/subscribers.hpp"

#include <boost/json/object.hpp>
#include <optional>
#include <string>

namespace binnacle::http::records {

/// How strict a reader is. What is imported must give the same rows whenever it is read, so it
/// brings its id and time; and it has no other fields than those that are known.
enum class source { admin, import };

struct subscriber_record {
  persistence::assinante::subscriber who{};
  std::string firebase_uid{}; // empty: none
};
/// Its subscriber is named by id or by address.
struct subscription_record {
  persistence::assinante::subscription what{};
  std::string email{}; // lower case; empty: what.who is set
};

/// bad_request with all fields that are wrong. An id or a time that an admin leaves out is empty.
/// Subscribers are imported only.
result<subscriber_record> read_subscriber(const boost::json::object&, time_point now);
result<subscription_record> read_subscription(const boost::json::object&, source);
result<persistence::assinante::order> read_order(const boost::json::object&, source);
result<persistence::assinante::invoice> read_invoice(const boost::json::object&, source);

} // namespace binnacle::http::records
