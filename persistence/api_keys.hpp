/// API keys of developers' projects (developer.md §6 to §8): what a project's own service is called
/// with, and verifies.
///
/// Of a secret its SHA-256 is kept. The secret is 256 random bits, so nobody finds it by guessing,
/// however fast the hash: a slow one (bcrypt, in the system the contract comes from) would protect
/// it no better and cost 50 ms per verification, and a keyed one would tie all keys to the key of
/// this installation. Whoever reads the digests can verify with none of them.
///
/// Times are whole seconds, as the contract shows them: what is stated is what is valid. Every
/// change touches api_keys for the owner.
#pragma once

#include "config/base/errors.hpp"
#include "config/base/ids.hpp"
#include "config/base/time.hpp"
#include "persistence/developer_projects.hpp"
#include "persistence/transaction.hpp"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace binnacle::persistence {

/// Of a project, at once. Revoked ones do not count.
constexpr std::int64_t most_active_api_keys = 100;

struct api_key {
  std::string id{}; // ULID
  std::string name{};
  std::string client_id{};
  std::string secret_last{}; // the secret's last characters
  std::vector<std::string> scopes{};
  std::optional<time_point> previous_until{}; // so long the secret before a rotation is good
  std::optional<time_point> revoked_at{};
  std::optional<time_point> last_used_at{};
  time_point created_at{};
};

/// A secret as it is stored.
struct hashed_secret {
  std::string digest{}; // SHA-256, 32 raw bytes
  std::string last{};   // its last characters
};

/// All of them: not_found when there is no such project, forbidden when it is somebody else's.
/// Newest first, revoked ones too.
result<std::vector<api_key>> list_api_keys(transaction&, const user_id& owner,
                                           const developer_project_id& project);

/// Inserts. Also conflict, when the project has too many active keys.
result<done> insert_api_key(transaction&, const user_id& owner, const developer_project_id& project,
                            const api_key&, const hashed_secret&);

/// Both give the key as it is then; also not_found when the project has no such key. One that is
/// revoked stays so since when it was; it cannot be rotated: conflict. At a rotation the secret
/// that was the present one stays good until `previous_until`, and the one before it no longer.
result<api_key> revoke_api_key(transaction&, const user_id& owner,
                               const developer_project_id& project, const std::string& key,
                               time_point now);
result<api_key> rotate_api_key(transaction&, const user_id& owner,
                               const developer_project_id& project, const std::string& key,
                               const hashed_secret& fresh, time_point previous_until,
                               time_point now);

/// A key as its verification needs it.
struct verifiable_key {
  std::string id{};
  developer_project_id project{};
  user_id owner{};
  std::string name{};
  std::string client_id{};
  std::string digest{};
  std::string previous_digest{}; // empty: never rotated
  time_point previous_until{};
  std::vector<std::string> scopes{};
  std::optional<time_point> last_used_at{};
};

/// Those of these names that are good: not revoked, their project there, its owner active.
result<std::vector<verifiable_key>>
find_verifiable_keys(transaction&, const std::vector<std::string>& client_ids);

/// Notes that keys, by id, were used then; never turns back. Touches nothing: nobody caches it.
result<done> note_key_uses(transaction&, const std::map<std::string, time_point>& uses);

/// Deletes what was revoked before; gives how many.
result<std::int64_t> delete_revoked_api_keys(transaction&, time_point before);

} // namespace binnacle::persistence
