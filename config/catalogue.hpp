/// What is sold through Stripe: its price ids by plan and by size of a credit pack.
#pragma once

#include "config/settings.hpp"

#include <map>
#include <string>
#include <vector>

namespace binnacle {

struct catalogue {
  using table = std::map<std::string, std::string>;
  table monthly{}; // plan -> price
  table annual{};  // plan -> price
  table credits{}; // "100" -> price

  /// The plan that a price belongs to, monthly or annual; empty: none.
  std::string plan_of(const std::string& price) const;
};

/// From the settings' JSON tables. One that is no JSON object of texts counts as empty; each such
/// is named in `problems`.
catalogue catalogue_of(const stripe_settings&, std::vector<std::string>* problems = nullptr);

} // namespace binnacle
