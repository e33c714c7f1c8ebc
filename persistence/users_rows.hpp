/// Private to this folder: the columns of a user, and a user from them.
#pragma once

#include "persistence/users.hpp"

#include <pqxx/pqxx>

// A macro, so that it joins the literals of a statement; table alias u.
#define USER_COLUMNS                                                                               \
  "u.id, u.username, u.email, u.name, u.password_hash, u.session_version, u.is_admin, u.status, "  \
  "u.account_owner_id, u.billing_mode, "                                                           \
  "coalesce((u.feature_flags->>'prepaid_enabled')::boolean, false), u.created_at, u.plan, "        \
  "u.email_claimed"

namespace binnacle::persistence {

inline constexpr int user_columns = 14;

/// The user whose columns begin at `at`.
user user_of(const pqxx::row& row, int at);

} // namespace binnacle::persistence
