/// Hopsworks' admin API (4.x): calls as values, and readers of its answers.
/// Source: docs.hopsworks.ai, "REST API"; hopsworks-api, UsersAdminResource and
/// ProjectsAdminResource.
#pragma once

#include "config/base/errors.hpp"
#include "config/base/secret.hpp"
#include "integrations/http_client.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace binnacle::hopsworks {

/// Where a cluster's Hopsworks is and how to be let in.
struct site {
  std::string api_url{}; // with or without /hopsworks-api/api
  secret api_key{};
  bool verify_tls = true; // false: a self-signed certificate will do
};

/// The address that people open: `api_url` without /hopsworks-api/api and without a slash at its
/// end.
std::string address_of(std::string_view api_url);

struct call {
  std::string method = "GET";
  std::string path{}; // with its query, below /hopsworks-api/api
  std::string body{}; // JSON; empty: none
};
/// The HTTP call; the key travels as `Authorization: ApiKey …` only.
integrations::http_call to_http(const call&, const site&, std::chrono::milliseconds deadline);

// -- users ---------------------------------------------------------------------------------------

/// Statuses of a user. Others (not yet verified, locked for a lost password …) are Hopsworks' own
/// business.
constexpr std::int64_t active_user = 2;
constexpr std::int64_t deactivated_user = 3;
constexpr std::int64_t blocked_user = 4;

struct user {
  std::int64_t id = 0;
  std::string username{};
  std::string email{};
  std::string account_type{}; // M_ACCOUNT_TYPE, REMOTE_ACCOUNT_TYPE, OAUTH2 …
  std::int64_t status = 0;
  std::int64_t max_projects = 0;
  std::int64_t active_projects = 0;
  std::string activated{}; // as it stands in the answer; empty: never
};

/// All of them: the API has no filter by email.
call list_users();
call get_user(std::int64_t id);

struct new_user {
  std::string email{};
  std::string given_name{};
  std::string surname{};
  std::int64_t max_projects = 0;
  std::string subject{};   // who they are to the issuer that they log in with
  std::string client_id{}; // who Hopsworks is to that issuer
};
/// In the query, without a body. The answer has no id: look the user up.
call create_user(const new_user&);
call set_status(std::int64_t id, std::int64_t status);
call set_max_projects(std::int64_t id, std::int64_t most);

result<std::vector<user>> read_users(const integrations::http_answer&);
result<user> read_user(const integrations::http_answer&);
/// Of the users with this address (in whatever case), the one who logs in by way of an issuer
/// (OAUTH2 or REMOTE_ACCOUNT_TYPE).
std::optional<user> user_with_email(const std::vector<user>&, std::string_view email);

// -- projects ------------------------------------------------------------------------------------

struct project {
  std::int64_t id = 0;
  std::string name{};
  std::string owner{};   // its creator's username
  std::string created{}; // as it stands in the answer
};
call list_projects();
result<std::vector<project>> read_projects(const integrations::http_answer&);

/// Data owner, Data scientist, Observer.
bool is_project_role(std::string_view role);
call add_member(std::int64_t project_id, std::string_view email, std::string_view role);
/// Who is a member already is as good as added.
result<done> read_added(const integrations::http_answer&);

/// For answers of which only the success matters. Faults of all readers: not_found for a 404; for
/// another refusal, and for what is not of the documented form, upstream_failed, with a text for an
/// admin and what Hopsworks said as detail.
result<done> read_done(const integrations::http_answer&);

} // namespace binnacle::hopsworks
