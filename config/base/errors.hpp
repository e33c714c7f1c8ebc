/// Errors: one enumeration for the product, one value type that carries the public text and the
/// internal detail apart, and `result<T>`. Business refusals are values; exceptions stay inside the
/// function that calls a throwing library.
#pragma once

#include <boost/system/result.hpp>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace binnacle {

/// What went wrong. The table in errors.cpp gives each code its HTTP status, its public name and a
/// sentence; the compiler checks that the two have the same length.
enum class errc : std::uint8_t {
  none = 0,
  bad_request,     // malformed or invalid input; the public text names the field
  unauthenticated, // no valid credential
  forbidden,       // valid credential, not allowed
  not_found,       //
  method_not_allowed,
  conflict, // contradicts the present state
  gone,     // existed once, is used up or expired
  payload_too_large,
  unsupported_media_type,
  unprocessable,   // understood, but cannot be done with this content
  rate_limited,    //
  not_implemented, //
  internal,        // a bug of ours; the detail is in the log
  upstream_failed, // an upstream answered wrongly or not at all
  unavailable,     // we cannot answer just now (database down, stopping)
  overloaded,      // a bounded queue is full
  timed_out,       // the request's deadline passed
  request_timeout, // the client took too long to send its request
  target_too_long,
  head_too_large, // header fields too many or too long
  expectation_failed,
  version_not_supported,
  in_progress, // the same request, by its Idempotency-Key, is still being worked on
  count_       // not a code: the number of codes
};

struct errc_row {
  errc code;
  int status;            // HTTP status
  std::string_view name; // public machine-readable name
  std::string_view text; // public default sentence
};

/// The row of `code`; never fails.
const errc_row& describe(errc code);
/// The code of an HTTP status; bad_request for a 4xx of no code, internal for all others.
errc errc_of_status(int status);

/// What is wrong with one field of a request.
struct field_problem {
  std::string field{};
  std::string text{}; // public
};

/// An error on its way to a client. `text` is public and empty means the code's default sentence;
/// `detail` is for the log only; `field` names the offending input field, if there is one, and
/// `fields` all of them where they are known: the first one included.
struct fault {
  errc code = errc::internal;
  std::string text{};
  std::string field{};
  std::string detail{};
  std::vector<field_problem> fields{};

  std::string_view message() const { return text.empty() ? describe(code).text : text; }
};

/// A fault of the client's making, naming the field.
fault bad_field(std::string field, std::string text);
/// Of several fields, at least one.
fault bad_fields(std::vector<field_problem> all);
/// A fault of ours: `detail` goes to the log, the client sees the default sentence.
fault internal_fault(std::string detail);

/// For logs: code, text and detail.
std::string to_string(const fault& f);

[[noreturn]] void throw_exception_from_error(const fault& f, const boost::source_location& where);

template <class T>
using result = boost::system::result<T, fault>;

/// A result without a value.
struct done {
  bool operator==(const done&) const = default;
};

} // namespace binnacle
