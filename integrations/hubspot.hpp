/// HubSpot's CRM: deals, their companies and contacts. A builder per call, a reader per answer.
/// Source: developers.hubspot.com/docs/reference/api/crm/objects (v3): "Batch read" of contacts has
/// at most 100 inputs, and answers 207 where some of them are gone.
#pragma once

#include "config/base/errors.hpp"
#include "config/base/secret.hpp"
#include "integrations/http_client.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace binnacle::hubspot {

struct account {
  std::string api_url{};
  secret key{};
};

/// Whether the text can be an object's id: 1 to 20 digits. Only such may go into a call.
bool is_id(std::string_view text);

integrations::http_call get_deal(const account&, std::string_view id);
integrations::http_call get_company(const account&, std::string_view id);
/// As many as one call reads.
inline constexpr std::size_t contacts_per_page = 100;
/// A page of the deal's contacts; `after` is empty or the `next` of the page before.
integrations::http_call get_contacts_of_deal(const account&, std::string_view deal,
                                             std::string_view after);
/// At most `contacts_per_page`. A POST that changes nothing.
integrations::http_call read_emails_of(const account&, const std::vector<std::string>& contacts);

/// The body of a success; not_found for 404, else upstream_failed.
result<std::string> body_of(const integrations::http_answer&);

struct deal {
  std::string id{};
  std::string name{};  // empty: none
  std::string stage{}; // empty: none
  std::vector<std::string> companies{};
};
struct company {
  std::string name{};
  std::string logo{};   // a URL; empty: none
  std::string domain{}; // a host name; empty: none
};
struct contact_page {
  std::vector<std::string> ids{};
  std::string next{}; // empty: the last page
};

result<deal> read_deal(std::string_view body);
result<company> read_company(std::string_view body);
result<contact_page> read_contacts(std::string_view body);
/// The contacts' addresses in lower case; contacts without one, and those that are gone, have none.
result<std::vector<std::string>> read_emails(std::string_view body);

/// Clearbit's picture of a domain. Only the URL: whoever shows it fetches it.
std::string logo_of_domain(std::string_view domain);

} // namespace binnacle::hubspot
