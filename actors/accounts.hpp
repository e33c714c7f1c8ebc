/// Local accounts: the first administrator, logging in and out, changing the password. The rules
/// are here, without HTTP; gateway.md §2 and §3. Passwords are hashed on compute workers, and an
/// unknown user takes as long as a wrong password.
#pragma once

#include "actors/context.hpp"
#include "actors/task.hpp"
#include "config/base/secret.hpp"

#include <functional>
#include <optional>
#include <string>

namespace binnacle {

struct password_login {
  std::string username{};
  secret password{};
  std::string surface{}; // which dashboard the session is for
  std::string email{};   // if given, it is looked up instead of the name
};

/// A cookie session that has just begun. `token` is the cookie's value; only its SHA-256 is stored.
struct begun_session {
  user_id who{};
  std::string username{};
  secret token{};
};

/// 3 to 50 of a-z, A-Z, 0-9, _ and -.
bool is_username(std::string_view text);
/// 8 to 72 bytes: bcrypt, which imported hashes use, sees no more.
bool is_password(const secret& text);
/// A fault naming the field, for accounts that are being made or changed.
std::optional<fault> check_new_account(const password_login& wanted);
std::optional<fault> check_new_password(const secret& wanted, std::string field);

/// unauthenticated "Invalid credentials" for everything that does not match, malformed names
/// included; rate_limited after too many that did not match the same user name (login_failures),
/// whoever asked and whether somebody has the name; forbidden for suspended and deleted users and
/// while local accounts are switched off.
task<result<begun_session>> log_in(context& ctx, password_login given);

/// The same for a client that keeps no cookie: who it is, and no session. In the transaction that
/// notes the login `also` may note something of its own, or refuse.
using login_note =
    std::function<result<done>(persistence::transaction&, const persistence::user&, time_point)>;
task<result<persistence::user>> prove_login(context& ctx, password_login given, login_note also);

/// A session of somebody whom a login provider vouches for. forbidden for suspended and deleted
/// users.
task<result<begun_session>> log_in_vouched(context& ctx, persistence::user who,
                                           std::string surface);

/// Whether nobody exists yet who could log in.
task<result<bool>> setup_required(context& ctx);
/// Makes the first user, an administrator, and logs them in. conflict when any user exists; of
/// several at once exactly one wins.
task<result<begun_session>> set_up(context& ctx, password_login wanted);

/// Ends the session that this cookie value names, if there is one.
task<result<done>> log_out(context& ctx, secret token);

/// For the authenticated user. Ends all their sessions and tokens, the present one included.
task<result<done>> change_password(context& ctx, secret current, secret wanted);

} // namespace binnacle
