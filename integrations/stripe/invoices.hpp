/// An invoice for whom it bills: what an invoice in general does not need to tell.
#pragma once

#include "integrations/stripe/calls.hpp"
#include "integrations/stripe/objects.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace binnacle::stripe {

struct bill : invoice {
  std::string description{};
  std::int64_t attempt_count = 0; // to collect it
  std::optional<time_point> paid_at{};
};

call get_invoice(std::string_view id);
/// As the readers of objects.hpp.
result<bill> read_bill(std::string_view json);

} // namespace binnacle::stripe
