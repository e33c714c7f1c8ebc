#include "actors/api_keys.hpp"

#include "config/base/json.hpp"
#include "config/base/metrics.hpp"
#include "integrations/encoding.hpp"
#include "integrations/tokens.hpp"
#include "persistence/users.hpp"

#include <caf/send.hpp>

namespace binnacle {
namespace {

constexpr std::size_t id_bytes = 16;
constexpr std::size_t secret_bytes = 32;
constexpr std::size_t shown = 4; // of 64 characters: 240 bits stay unknown

std::string random_hex(std::size_t bytes) {
  return integrations::to_hex(*integrations::from_base64url(integrations::random_token(bytes)));
}

secret make_secret() { return secret{"sk_" + random_hex(secret_bytes)}; }

persistence::hashed_secret hashed(const secret& s) {
  const auto& text = s.reveal();
  return {integrations::sha256(text), text.substr(text.size() - shown)};
}

persistence::audit_entry audit(const context& ctx, std::string action, const std::string& key,
                               const developer_project_id& project) {
  persistence::audit_entry out;
  out.actor = ctx.who().id;
  out.action = std::move(action);
  out.target = key;
  out.detail = json::to_text(json::object{{"project", project.value}});
  out.address = ctx.req.client_address;
  return out;
}

// -- what is done in one transaction ------------------------------------------------------------

result<done> insert(persistence::transaction& tx, const user_id& owner,
                    const developer_project_id& project, const persistence::api_key& key,
                    const persistence::hashed_secret& s, const persistence::audit_entry& entry,
                    time_point now) {
  if (auto made = persistence::insert_api_key(tx, owner, project, key, s); !made) return made;
  return persistence::write_audit(tx, entry, now);
}

result<persistence::api_key> revoke(persistence::transaction& tx, const user_id& owner,
                                    const developer_project_id& project, const std::string& key,
                                    const persistence::audit_entry& entry, time_point now) {
  auto out = persistence::revoke_api_key(tx, owner, project, key, now);
  if (!out) return out;
  if (auto noted = persistence::write_audit(tx, entry, now); !noted) return noted.error();
  return out;
}

result<persistence::api_key> rotate(persistence::transaction& tx, const user_id& owner,
                                    const developer_project_id& project, const std::string& key,
                                    const persistence::hashed_secret& s, time_point previous_until,
                                    const persistence::audit_entry& entry, time_point now) {
  auto out = persistence::rotate_api_key(tx, owner, project, key, s, previous_until, now);
  if (!out) return out;
  if (auto noted = persistence::write_audit(tx, entry, now); !noted) return noted.error();
  return out;
}

prometheus::Counter& verifications(const char* outcome) {
  return metrics::counter("binnacle_api_key_verifications_total", "Verifications of API keys",
                          {{"outcome", outcome}});
}
struct verification_metrics {
  prometheus::Counter& valid = verifications("valid");
  prometheus::Counter& invalid = verifications("invalid");
  prometheus::Counter& out_of_scope = verifications("out_of_scope");

  static verification_metrics& get() {
    static verification_metrics instance;
    return instance;
  }
};

fault invalid() {
  verification_metrics::get().invalid.Increment();
  return {errc::unauthenticated, "API key is not valid", {}, {}};
}

result<verified_key> judge(const context& ctx, std::shared_ptr<const known_key> key,
                           const key_question& asked) {
  if (!key) return invalid();
  auto verdict = verify(*key, asked.client_secret, ctx.now());
  if (!verdict.valid) return invalid();
  if (!has_scopes(*key, asked.scopes)) {
    verification_metrics::get().out_of_scope.Increment();
    return fault{errc::forbidden, "API key lacks a required scope", {}, {}};
  }
  verification_metrics::get().valid.Increment();
  if (key->use(ctx.now()))
    caf::anon_send(ctx.app.key_keeper, key_used{key->is.id, unix_seconds(ctx.now())});
  return verified_key{std::move(key), verdict.secret_until};
}

} // namespace

std::string masked(std::string_view secret_last) { return "sk_***" + std::string{secret_last}; }

task<result<fresh_key>> create_api_key(context& ctx, developer_project_id project, std::string name,
                                       std::vector<std::string> scopes) {
  auto now = ctx.now();
  fresh_key out;
  out.client_secret = make_secret();
  auto stored = hashed(out.client_secret);
  out.is.id = make_ulid(now);
  out.is.name = std::move(name);
  out.is.client_id = "pk_" + random_hex(id_bytes);
  out.is.secret_last = stored.last;
  out.is.scopes = std::move(scopes);
  out.is.created_at = now;
  auto entry = audit(ctx, "API_KEY_CREATED", out.is.id, project);
  auto made = co_await ctx.write(insert, ctx.who().id, project, out.is, stored, entry, now);
  if (!made) co_return made.error();
  co_return out;
}

task<result<persistence::api_key>> revoke_api_key(context& ctx, developer_project_id project,
                                                  std::string key) {
  auto entry = audit(ctx, "API_KEY_REVOKED", key, project);
  co_return co_await ctx.write(revoke, ctx.who().id, project, key, entry, ctx.now());
}

task<result<fresh_key>> rotate_api_key(context& ctx, developer_project_id project, std::string key,
                                       seconds grace) {
  auto now = ctx.now();
  fresh_key out;
  out.client_secret = make_secret();
  auto stored = hashed(out.client_secret);
  auto until = std::chrono::floor<seconds>(now) + grace;
  auto entry = audit(ctx, "API_KEY_ROTATED", key, project);
  auto rotated =
      co_await ctx.write(rotate, ctx.who().id, project, key, stored, time_point{until}, entry, now);
  if (!rotated) co_return rotated.error();
  out.is = std::move(*rotated);
  co_return out;
}

std::optional<result<verified_key>> verify_at_hand(context& ctx, const key_question& asked) {
  if (!is_client_id(asked.client_id) || !is_client_secret(asked.client_secret.reveal()))
    return invalid();
  if (!ctx.app.listening.load(std::memory_order_acquire)) return {};
  auto known = ctx.app.api_keys->find(asked.client_id);
  if (!known) return {};
  return judge(ctx, std::move(*known), asked);
}

task<result<verified_key>> verify_key(context& ctx, const key_question& asked) {
  find_key question{asked.client_id};
  auto found = co_await ctx.ask<found_key>(ctx.app.key_keeper, std::move(question));
  if (!found) co_return found.error();
  co_return judge(ctx, std::move(found->what), asked);
}

} // namespace binnacle
