/// API keys of developers' projects: made, shown once, replaced, taken back, and verified. How they
/// are stored is in persistence/api_keys.hpp, how they are kept at hand in known_keys.hpp.
#pragma once

#include "actors/context.hpp"
#include "actors/known_keys.hpp"
#include "actors/task.hpp"
#include "config/base/secret.hpp"
#include "persistence/api_keys.hpp"

#include <string>
#include <vector>

namespace binnacle {

/// The longest time for which the secret before a rotation stays good, and what is usual.
constexpr seconds longest_grace{30 * 24 * 3'600};
constexpr seconds usual_grace{24 * 3'600};

/// A key with its secret, which nobody can be shown again.
struct fresh_key {
  persistence::api_key is{};
  secret client_secret{};
};

/// "sk_***" and what is known of the secret.
std::string masked(std::string_view secret_last);

/// For the authenticated user, who must own the project; faults as in persistence/api_keys.hpp.
/// Each is noted in the audit log.
task<result<fresh_key>> create_api_key(context& ctx, developer_project_id project, std::string name,
                                       std::vector<std::string> scopes);
task<result<persistence::api_key>> revoke_api_key(context& ctx, developer_project_id project,
                                                  std::string key);
task<result<fresh_key>> rotate_api_key(context& ctx, developer_project_id project, std::string key,
                                       seconds grace);

struct verified_key {
  std::shared_ptr<const known_key> key{};   // never null
  std::optional<time_point> secret_until{}; // the secret has been replaced: good until then
};
struct key_question {
  std::string client_id{};
  secret client_secret{};
  std::string scopes{}; // separated by spaces; may be none
};
/// For whoever was shown a key and wants to know whether it is good for these scopes.
/// unauthenticated: it is not, and nobody learns why; forbidden: it is, but lacks a scope;
/// unavailable: nobody can tell just now.
///
/// The first answers from memory, at once; nothing when it cannot, and then the second can.
std::optional<result<verified_key>> verify_at_hand(context& ctx, const key_question& asked);
task<result<verified_key>> verify_key(context& ctx, const key_question& asked);

} // namespace binnacle
