/// HubSpot, and the rules of corporate deals: who may sign up for one, and what its company is.
/// Calls go through one queue with a breaker (http_upstream.hpp). platform.md §2.
///
/// Faults: internal "HubSpot integration not configured"; not_found "Deal not found";
/// upstream_failed, unavailable, overloaded, timed_out: HubSpot cannot be asked just now.
#pragma once

#include "actors/context.hpp"
#include "actors/http_upstream.hpp"
#include "actors/task.hpp"
#include "integrations/hubspot.hpp"

#include <string>

namespace binnacle {

upstream_config hubspot_config_of(const hubspot_settings&);

struct corporate_deal {
  hubspot::deal what{};
  hubspot::company buyer{}; // its first company, with a logo wherever there is a domain; or empty
};
/// `id` must be one (hubspot::is_id).
task<result<corporate_deal>> find_corporate_deal(context& ctx, std::string id);

/// Whether the address is of the domain of one of the deal's first 500 contacts, or of our own
/// house. bad_request "No contacts associated with deal".
task<result<bool>> belongs_to_deal(context& ctx, std::string deal, std::string email);

} // namespace binnacle
