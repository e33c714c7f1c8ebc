#include "persistence/clusters.hpp"
#include "http/routes/body.hpp"
#include "http/routes/platform/handlers.hpp"
#include "http/routes/platform/opencost_probe.hpp"
#include "http/routes/replies.hpp"
#include "integrations/kubeconfig.hpp"
#include "integrations/vault.hpp"
#include "persistence/users.hpp"

#include <algorithm>
#include <array>

namespace binnacle::http {
namespace {

constexpr std::size_t longest_name = 100;
constexpr std::size_t longest_url = 2'048;
constexpr std::size_t longest_kubeconfig = 256 * 1'024;
constexpr std::int64_t most_users = 1'000'000;

/// Without its credentials: only whether it has them.
json::object to_json(const persistence::cluster& c) {
  return {{"id", c.id.value},
          {"name", c.name},
          {"api_url", c.api_url},
          {"max_users", c.max_users},
          {"current_users", c.current_users},
          {"status", c.status},
          {"region", c.region},
          {"verify_tls", c.verify_tls},
          {"has_api_key", !c.api_key_sealed.empty()},
          {"has_kubeconfig", !c.kubeconfig_sealed.empty()},
          {"created_at", format_iso_ms(c.created_at)},
          {"updated_at", format_iso_ms(c.updated_at)}};
}

/// With a host, and without user information or a fragment (RFC 3986 §3).
bool is_http_url(const std::string& text) {
  auto clean = std::ranges::all_of(text, [](char c) { return c > 0x20 && c < 0x7F && c != '#'; });
  auto after = text.starts_with("https://") ? 8U : text.starts_with("http://") ? 7U : 0U;
  if (!clean || after == 0) return false;
  auto authority = text.substr(after, text.find_first_of("/?", after) - after);
  return !authority.empty() && authority.front() != ':' && authority.find('@') == authority.npos;
}

bool is_status(const std::string& text) {
  constexpr std::array known{"active", "inactive", "maintenance"};
  return std::ranges::find(known, text) != known.end();
}

/// Seals a kubeconfig that can be used; a fault says what to change.
result<std::string> seal_kubeconfig(const services& app, const cluster_id& id,
                                    const std::string& yaml) {
  auto usable = integrations::parse_kubeconfig(yaml);
  if (!usable) return usable.error();
  return app.vault->seal(secret{yaml}, "kubeconfig:" + id.value);
}

/// The fields that a new cluster and a changed one have in common.
result<persistence::cluster_patch> read_patch(const services& app, json_fields& body,
                                              cluster_id id) {
  persistence::cluster_patch out;
  out.id = std::move(id);
  out.name = body.maybe_text("name", longest_name);
  out.api_url = body.maybe_text("api_url", longest_url);
  out.max_users = body.maybe_integer("max_users", 0, most_users);
  out.status = body.maybe_text("status");
  out.region = body.maybe_text("region", longest_name);
  out.verify_tls = body.maybe_truth("verify_tls");
  auto api_key = body.maybe_text("api_key");
  auto kubeconfig = body.maybe_text("kubeconfig", longest_kubeconfig);
  if (out.name && out.name->empty()) body.note(bad_field("name", "name must not be empty"));
  if (out.api_url && !is_http_url(*out.api_url))
    body.note(
        bad_field("api_url", "api_url must be an http or https URL without user name or fragment"));
  if (out.status && !is_status(*out.status))
    body.note(bad_field("status", "status must be active, inactive or maintenance"));
  if (body.problem()) return *body.problem();
  if (api_key && !api_key->empty())
    out.api_key_sealed = app.vault->seal(secret{*api_key}, "api_key:" + out.id.value);
  if (kubeconfig) {
    auto sealed = seal_kubeconfig(app, out.id, *kubeconfig);
    if (!sealed) return sealed.error();
    out.kubeconfig_sealed = std::move(*sealed);
  }
  return out;
}

persistence::cluster cluster_from(const persistence::cluster_patch& p, time_point now) {
  persistence::cluster out;
  out.id = p.id;
  out.name = p.name.value_or("");
  out.api_url = p.api_url.value_or("");
  out.api_key_sealed = p.api_key_sealed.value_or("");
  out.kubeconfig_sealed = p.kubeconfig_sealed.value_or("");
  out.max_users = p.max_users.value_or(out.max_users);
  out.status = p.status.value_or(out.status);
  out.region = p.region.value_or("");
  out.verify_tls = p.verify_tls.value_or(out.verify_tls);
  out.created_at = out.updated_at = now;
  return out;
}

/// What changed, by name; never a value.
persistence::audit_entry audit(const context& ctx, std::string action,
                               const persistence::cluster_patch& p) {
  json::array fields;
  if (p.name) fields.emplace_back("name");
  if (p.api_url) fields.emplace_back("api_url");
  if (p.api_key_sealed) fields.emplace_back("api_key");
  if (p.kubeconfig_sealed) fields.emplace_back("kubeconfig");
  if (p.max_users) fields.emplace_back("max_users");
  if (p.status) fields.emplace_back("status");
  if (p.region) fields.emplace_back("region");
  if (p.verify_tls) fields.emplace_back("verify_tls");
  persistence::audit_entry out;
  out.actor = ctx.who().id;
  out.action = std::move(action);
  out.target = p.id.value;
  out.detail = json::to_text(json::object{{"fields", std::move(fields)}});
  out.address = ctx.req.client_address;
  return out;
}

// -- what is done in one transaction ------------------------------------------------------------

result<done> create_cluster(persistence::transaction& tx, const persistence::cluster& c,
                            const persistence::audit_entry& entry, time_point now) {
  if (auto added = persistence::insert_cluster(tx, c, now); !added) return added;
  return persistence::write_audit(tx, entry, now);
}

result<persistence::cluster> change_cluster(persistence::transaction& tx,
                                            const persistence::cluster_patch& p,
                                            const persistence::audit_entry& entry, time_point now) {
  auto changed = persistence::update_cluster(tx, p, now);
  if (!changed) return changed;
  if (auto noted = persistence::write_audit(tx, entry, now); !noted) return noted.error();
  return changed;
}

} // namespace

task<result<response>> get_clusters(context& ctx) {
  auto clusters = co_await ctx.read(persistence::list_clusters);
  if (!clusters) co_return clusters.error();
  json::array out;
  for (const auto& c : *clusters) out.emplace_back(to_json(c));
  co_return json_reply({{"clusters", std::move(out)}});
}

task<result<response>> post_cluster(context& ctx) {
  auto body = json_fields::of(ctx.req);
  if (!body) co_return body.error();
  body->require({"name", "api_url"});
  auto wanted = read_patch(ctx.app, *body, make_id<cluster_id>("clu_", ctx.now()));
  if (!wanted) co_return wanted.error();
  auto now = ctx.now();
  auto made = cluster_from(*wanted, now);
  auto entry = audit(ctx, "CLUSTER_CREATED", *wanted);
  auto created = co_await ctx.write(create_cluster, made, entry, now);
  if (!created) co_return created.error();
  co_return written({{"cluster", to_json(made)}}, 201);
}

task<result<response>> put_cluster(context& ctx) {
  auto body = json_fields::of(ctx.req);
  if (!body) co_return body.error();
  body->require({"id"});
  auto wanted = read_patch(ctx.app, *body, cluster_id{body->text("id")});
  if (!wanted) co_return wanted.error();
  auto entry = audit(ctx, "CLUSTER_UPDATED", *wanted);
  auto changed = co_await ctx.write(change_cluster, *wanted, entry, ctx.now());
  if (!changed) co_return changed.error();
  co_return written({{"cluster", to_json(*changed)}});
}

task<result<response>> post_kubeconfig(context& ctx) {
  auto body = json_fields::of(ctx.req);
  if (!body) co_return body.error();
  body->require({"clusterId", "kubeconfig"});
  persistence::cluster_patch wanted;
  wanted.id = cluster_id{body->text("clusterId")};
  auto yaml = body->text("kubeconfig", longest_kubeconfig);
  if (body->problem()) co_return *body->problem();
  auto sealed = seal_kubeconfig(ctx.app, wanted.id, yaml);
  if (!sealed) co_return sealed.error();
  wanted.kubeconfig_sealed = std::move(*sealed);
  auto entry = audit(ctx, "CLUSTER_KUBECONFIG_UPDATED", wanted);
  auto changed = co_await ctx.write(change_cluster, wanted, entry, ctx.now());
  if (!changed) co_return changed.error();
  co_return written({{"success", true},
                     {"cluster", to_json(*changed)},
                     {"message", "Kubeconfig of " + changed->name + " updated"}});
}

task<result<response>> post_test_opencost(context& ctx) {
  auto body = json_fields::of(ctx.req);
  if (!body) co_return body.error();
  cluster_id which{body->text("clusterId")};
  if (body->problem()) co_return *body->problem();
  if (which.empty()) co_return bad_field("clusterId", "Cluster ID required");
  auto found = co_await ctx.read(persistence::find_cluster, which);
  if (!found) co_return found.error();
  if (!*found || (*found)->kubeconfig_sealed.empty())
    co_return fault{errc::not_found, "Cluster not found or missing kubeconfig", {}, {}};
  const auto& cluster = **found;
  auto to = start_of_hour(ctx.now());
  auto set = co_await probe_opencost(ctx, cluster, to - hours{1}, to);
  if (!set) {
    auto out = written({{"success", false},
                        {"connected", false},
                        {"cluster", cluster.name},
                        {"error", set.error().message()},
                        {"message", "Failed to connect to OpenCost of " + cluster.name}});
    out.log_detail = to_string(set.error());
    co_return out;
  }
  decimal cost;
  for (const auto& a : set->rows) cost += a.total_cost.value_or(decimal{});
  co_return written({{"success", true},
                     {"connected", true},
                     {"cluster", cluster.name},
                     {"namespaces", set->rows.size()},
                     {"hourlyTotalCost", cost},
                     {"message", "Connected to OpenCost of " + cluster.name}});
}

} // namespace binnacle::http
