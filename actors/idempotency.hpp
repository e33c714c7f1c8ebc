/// Unsafe requests that carry an Idempotency-Key are executed once. Source:
/// draft-ietf-httpapi-idempotency-key-header-07.
///
/// The first request of a key claims it in the database and runs the route's handler; a later one
/// with the same method, path, query and body is answered with the kept answer and
/// `Idempotency-Replayed: true`. Meanwhile it is refused with `in_progress` (409, Retry-After), and
/// with another content under the same key as unprocessable (422). A claim whose holder died ends
/// with its lease; the next attempt then runs the handler again, which must bear that.
///
/// How many keys a caller may have at a time, and for how long they are kept, is the limit
/// idempotency_keys; one more is rate_limited until the first of them expires.
#pragma once

#include "actors/context.hpp"
#include "actors/route.hpp"

#include <string>
#include <string_view>

namespace binnacle {

/// Larger answers are not kept: the next attempt executes the request again.
constexpr std::size_t most_kept_answer = 1'048'576;

/// An unsafe method with the field. It means nothing on the others, which are safe to repeat.
bool has_idempotency_key(const request& req);

/// The key of a field value: a quoted string (RFC 8941 §3.3.3) or the same characters bare, 1 to
/// 255 of them. bad_request for anything else.
result<std::string> parse_idempotency_key(std::string_view value);

/// Whether an answer with this status is the request's outcome, to be kept. Others say that it was
/// not executed (401, 403, 408, 429) or that something else failed (5xx): a retry executes it.
bool is_final(int status);

/// An answer as text, byte for byte, and back.
std::string pack_answer(const response& r);
result<response> unpack_answer(std::string_view text);

/// Runs the handler of `x`'s route, or answers in its place. `scope` says whose keys these are.
task<result<response>> run_once(context& ctx, const exchange& x, std::string scope);

} // namespace binnacle
