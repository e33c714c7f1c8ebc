#include "actors/accounts.hpp"

#include "actors/sliding_window.hpp"
#include "config/base/text.hpp"
#include "integrations/passwords.hpp"
#include "integrations/tokens.hpp"
#include "persistence/rate_windows.hpp"

#include <algorithm>

namespace binnacle {
namespace {

constexpr std::size_t token_bytes = 32;

fault refused(errc code, std::string text) { return {code, std::move(text), {}, {}}; }

std::optional<fault> check_status(const persistence::user& who) {
  if (who.status == "deleted") return refused(errc::forbidden, "Account has been deleted");
  if (who.status != "active") return refused(errc::forbidden, "Account is suspended");
  return {};
}

/// A new session of `who` in the database's and in the client's form.
struct fresh_session {
  persistence::login_session row{};
  secret token{};
};

fresh_session make_session(const context& ctx, const user_id& who, std::int64_t session_version,
                           const std::string& surface) {
  fresh_session out;
  out.token = secret{integrations::random_token(token_bytes)};
  out.row.digest = integrations::sha256(out.token.reveal());
  out.row.who = who;
  out.row.surface = surface;
  out.row.session_version = session_version;
  out.row.expires_at = ctx.now() + ctx.app.config.identity.session_life;
  return out;
}

persistence::audit_entry audit(const context& ctx, const user_id& who, std::string action) {
  persistence::audit_entry out;
  out.actor = who;
  out.action = std::move(action);
  out.target = who.value;
  out.address = ctx.req.client_address;
  return out;
}

// -- what is done in one transaction ------------------------------------------------------------

/// The window of failed logins with a user name, whether somebody has it or not. In the database
/// only: logins are rare, and whoever guesses asks every node.
struct failure_window {
  std::string key{};
  rate_limit limit{};
};

failure_window failures_of(const context& ctx, const std::string& username) {
  return {"login:" + integrations::to_hex(integrations::sha256(username)),
          ctx.app.config.limits[static_cast<std::size_t>(limit_class::login_failures)]};
}

result<done> save(persistence::transaction& tx, const failure_window& failures,
                  const sliding_window& window, time_point now) {
  persistence::rate_window row{.key = failures.key};
  window.append_to(row.state);
  row.expires_at = std::max(now, window.expires_at(failures.limit));
  return persistence::save_rate_windows(tx, {std::move(row)});
}

/// Counts before the password is looked at: of many attempts at once none gets by.
result<sliding_window::verdict> count_failure(persistence::transaction& tx,
                                              const failure_window& failures, time_point now) {
  auto state = persistence::lock_rate_window(tx, failures.key, now);
  if (!state) return state.error();
  auto window = sliding_window::from_text(*state);
  auto verdict = window.admit(failures.limit, now);
  if (auto saved = save(tx, failures, window, now); !saved) return saved.error();
  return verdict;
}

/// The attempt was none that failed.
result<done> uncount_failure(persistence::transaction& tx, const failure_window& failures,
                             time_point now) {
  auto state = persistence::lock_rate_window(tx, failures.key, now);
  if (!state) return state.error();
  auto window = sliding_window::from_text(*state);
  window.take_back();
  return save(tx, failures, window, now);
}

struct better_hash {
  std::string old_hash{};
  std::string new_hash{}; // empty: the old one is good
};

result<done> note_login(persistence::transaction& tx, const user_id& who, const better_hash& hash,
                        const persistence::audit_entry& entry, time_point now) {
  if (!hash.new_hash.empty()) {
    auto upgraded = persistence::upgrade_password_hash(tx, who, hash.old_hash, hash.new_hash);
    if (!upgraded) return upgraded;
  }
  if (auto noted = persistence::record_login(tx, who, now); !noted) return noted;
  return persistence::write_audit(tx, entry, now);
}

result<done> begin_login(persistence::transaction& tx, const persistence::login_session& session,
                         const better_hash& hash, const persistence::audit_entry& entry,
                         time_point now) {
  if (auto noted = note_login(tx, session.who, hash, entry, now); !noted) return noted;
  return persistence::insert_login_session(tx, session, now);
}

result<done> begin_counted_login(persistence::transaction& tx,
                                 const persistence::login_session& session, const better_hash& hash,
                                 const failure_window& failures,
                                 const persistence::audit_entry& entry, time_point now) {
  if (auto uncounted = uncount_failure(tx, failures, now); !uncounted) return uncounted;
  return begin_login(tx, session, hash, entry, now);
}

/// Somebody who has given their password.
struct proven_user {
  persistence::user who{};
  better_hash hash{};
  failure_window failures{};
};

result<done> note_counted_login(persistence::transaction& tx, const proven_user& proven,
                                const login_note& also, const persistence::audit_entry& entry,
                                time_point now) {
  if (auto uncounted = uncount_failure(tx, proven.failures, now); !uncounted) return uncounted;
  if (auto noted = note_login(tx, proven.who.id, proven.hash, entry, now); !noted) return noted;
  return also ? also(tx, proven.who, now) : result<done>{done{}};
}

result<done> begin_first_login(persistence::transaction& tx, const persistence::user& admin,
                               const persistence::login_session& session,
                               const persistence::audit_entry& entry, time_point now) {
  if (auto made = persistence::insert_first_admin(tx, admin); !made) return made;
  if (auto written = persistence::write_audit(tx, entry, now); !written) return written;
  auto login = entry;
  login.action = "USER_LOGIN";
  return begin_login(tx, session, {}, login, now);
}

result<done> end_login(persistence::transaction& tx, const std::string& digest,
                       const persistence::audit_entry& entry, time_point now) {
  auto found = persistence::find_login_session(tx, digest, now);
  if (!found) return found.error();
  if (!*found) return done{};
  auto ended = persistence::delete_login_session(tx, (*found)->who, digest);
  if (!ended) return ended;
  auto by_owner = entry;
  by_owner.actor = (*found)->who;
  by_owner.target = (*found)->who.value;
  return persistence::write_audit(tx, by_owner, now);
}

result<done> replace_password(persistence::transaction& tx, const user_id& who,
                              const std::string& new_hash, const persistence::audit_entry& entry,
                              time_point now) {
  if (auto changed = persistence::change_password(tx, who, new_hash, now); !changed) return changed;
  return persistence::write_audit(tx, entry, now);
}

/// The one place where a password lets somebody in.
task<result<proven_user>> prove_password(context& ctx, password_login given) {
  if (!ctx.app.config.identity.local_accounts)
    co_return refused(errc::forbidden, "Local accounts are switched off");
  const auto by_email = !given.email.empty();
  const auto& name = by_email ? given.email : given.username;
  const auto well_formed = by_email ? is_email(name) : is_username(name);
  proven_user out{.failures = failures_of(ctx, name)};
  if (well_formed) {
    auto counted = co_await ctx.write(count_failure, out.failures, ctx.now());
    if (!counted) co_return counted.error();
    if (!counted->admitted)
      co_return ctx.refuse(
          report_of(limit_class::login_failures, out.failures.limit, *counted, ctx.now()));
  }
  auto find = by_email ? persistence::find_user_by_email : persistence::find_user_by_username;
  auto found = co_await ctx.read(find, name);
  if (!found) co_return found.error();
  if (*found && well_formed && is_password(given.password))
    out.hash.old_hash = (*found)->password_hash;
  auto check = [password = given.password, stored = out.hash.old_hash] {
    return integrations::check_password(password, stored);
  };
  auto checked = co_await ctx.compute(check);
  if (!checked) co_return checked.error();
  if (!*found || !checked->matches) co_return refused(errc::unauthenticated, "Invalid credentials");
  if (auto locked = check_status(**found)) co_return *locked;
  if (checked->outdated) {
    auto anew = [password = given.password] { return integrations::hash_password(password); };
    auto hashed = co_await ctx.compute(anew);
    if (!hashed) co_return hashed.error();
    out.hash.new_hash = std::move(*hashed);
  }
  out.who = std::move(**found);
  co_return out;
}

} // namespace

bool is_username(std::string_view text) {
  auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
  };
  return text.size() >= 3 && text.size() <= 50 && std::ranges::all_of(text, allowed);
}

bool is_password(const secret& text) {
  return text.reveal().size() >= 8 && text.reveal().size() <= 72;
}

std::optional<fault> check_new_account(const password_login& wanted) {
  if (!is_username(wanted.username))
    return bad_field("username",
                     "Username must be 3 to 50 characters: letters, digits, underscore, hyphen");
  return check_new_password(wanted.password, "password");
}

std::optional<fault> check_new_password(const secret& wanted, std::string field) {
  if (is_password(wanted)) return {};
  return bad_field(std::move(field), "Password must be 8 to 72 bytes long");
}

task<result<begun_session>> log_in(context& ctx, password_login given) {
  auto proven = co_await prove_password(ctx, given);
  if (!proven) co_return proven.error();
  const auto& who = proven->who;
  auto session = make_session(ctx, who.id, who.session_version, given.surface);
  auto entry = audit(ctx, who.id, "USER_LOGIN");
  auto begun = co_await ctx.write(begin_counted_login, session.row, proven->hash, proven->failures,
                                  entry, ctx.now());
  if (!begun) co_return begun.error();
  begun_session out{who.id, who.username, std::move(session.token)};
  co_return out;
}

task<result<persistence::user>> prove_login(context& ctx, password_login given, login_note also) {
  auto proven = co_await prove_password(ctx, given);
  if (!proven) co_return proven.error();
  auto entry = audit(ctx, proven->who.id, "USER_LOGIN");
  auto noted = co_await ctx.write(note_counted_login, *proven, also, entry, ctx.now());
  if (!noted) co_return noted.error();
  proven->who.password_hash.clear();
  co_return std::move(proven->who);
}

task<result<begun_session>> log_in_vouched(context& ctx, persistence::user who,
                                           std::string surface) {
  if (auto locked = check_status(who)) co_return *locked;
  auto session = make_session(ctx, who.id, who.session_version, surface);
  auto entry = audit(ctx, who.id, "USER_LOGIN");
  better_hash none;
  auto begun = co_await ctx.write(begin_login, session.row, none, entry, ctx.now());
  if (!begun) co_return begun.error();
  begun_session out{who.id, who.username, std::move(session.token)};
  co_return out;
}

task<result<bool>> setup_required(context& ctx) {
  if (!ctx.app.config.identity.local_accounts) co_return false;
  auto any = co_await ctx.read(persistence::any_user);
  if (!any) co_return any.error();
  co_return !*any;
}

task<result<begun_session>> set_up(context& ctx, password_login wanted) {
  if (!ctx.app.config.identity.local_accounts)
    co_return refused(errc::forbidden, "Local accounts are switched off");
  if (auto wrong = check_new_account(wanted)) co_return *wrong;
  // Before the hash, so that nobody can make us compute hashes for nothing; the insert checks
  // again.
  auto any = co_await ctx.read(persistence::any_user);
  if (!any) co_return any.error();
  if (*any) co_return refused(errc::conflict, "Setup is already complete");
  auto compute_hash = [password = wanted.password] {
    return integrations::hash_password(password);
  };
  auto hashed = co_await ctx.compute(compute_hash);
  if (!hashed) co_return hashed.error();
  persistence::user admin;
  admin.id = make_id<user_id>("usr_", ctx.now());
  admin.username = wanted.username;
  admin.name = wanted.username;
  admin.password_hash = std::move(*hashed);
  admin.is_admin = true;
  admin.created_at = ctx.now();
  auto session = make_session(ctx, admin.id, admin.session_version, wanted.surface);
  auto entry = audit(ctx, admin.id, "USER_CREATED");
  auto made = co_await ctx.write(begin_first_login, admin, session.row, entry, ctx.now());
  if (!made) co_return made.error();
  begun_session out{admin.id, admin.username, std::move(session.token)};
  co_return out;
}

task<result<done>> log_out(context& ctx, secret token) {
  if (token.empty()) co_return done{};
  auto digest = integrations::sha256(token.reveal());
  auto entry = audit(ctx, user_id{}, "USER_LOGOUT");
  co_return co_await ctx.write(end_login, digest, entry, ctx.now());
}

task<result<done>> change_password(context& ctx, secret current, secret wanted) {
  if (auto wrong = check_new_password(wanted, "newPassword")) co_return *wrong;
  auto who = ctx.who().id;
  auto found = co_await ctx.read(persistence::find_user, who); // a session keeps no hash
  if (!found) co_return found.error();
  if (!*found) co_return refused(errc::not_found, "User not found");
  auto check = [current, stored = (*found)->password_hash] {
    return integrations::check_password(current, stored);
  };
  auto checked = co_await ctx.compute(check);
  if (!checked) co_return checked.error();
  if (!checked->matches) co_return refused(errc::unauthenticated, "Invalid current password");
  if (constant_time_equal(current.reveal(), wanted.reveal()))
    co_return refused(errc::bad_request, "The new password must differ from the current one");
  auto compute_hash = [wanted] { return integrations::hash_password(wanted); };
  auto hashed = co_await ctx.compute(compute_hash);
  if (!hashed) co_return hashed.error();
  auto entry = audit(ctx, who, "PASSWORD_CHANGED");
  co_return co_await ctx.write(replace_password, who, *hashed, entry, ctx.now());
}

} // namespace binnacle
