#include "persistence/sql.hpp"

#include <algorithm>
#include <charconv>
#include <stdexcept>

namespace binnacle::persistence {
namespace {

/// Percent-encodes everything that is not plain, for a connection URI.
std::string percent_encoded(std::string_view text) {
  static constexpr std::string_view digits = "0123456789ABCDEF";
  std::string out;
  for (char c : text) {
    auto byte = static_cast<unsigned char>(c);
    bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (plain) {
      out.push_back(c);
    } else {
      out.push_back('%');
      out.push_back(digits[byte >> 4]);
      out.push_back(digits[byte & 15]);
    }
  }
  return out;
}

std::string quoted(std::string_view text) {
  std::string out = "'";
  for (char c : text) {
    if (c == '\'' || c == '\\') out.push_back('\\');
    out.push_back(c);
  }
  return out + "'";
}

/// Adds parameters to an address in either of libpq's two forms. Where a parameter is given twice,
/// libpq takes the last.
class address {
public:
  explicit address(std::string text)
      : text_{std::move(text)}, uri_{text_.starts_with("postgres://") ||
                                     text_.starts_with("postgresql://")} {}

  void add(std::string_view name, std::string_view value) {
    if (uri_) {
      text_.append(text_.find('?') == text_.npos ? "?" : "&");
      text_.append(name).append("=").append(percent_encoded(value));
    } else {
      text_.append(" ").append(name).append("=").append(quoted(value));
    }
  }

  /// Server options add up: ours go behind those that the address brings along, if any.
  void add_options(const std::string& ours) {
    auto at = uri_ ? text_.find("options=", std::min(text_.find('?'), text_.size()))
                   : text_.find("options='");
    if (at == text_.npos) return add("options", ours);
    at = uri_ ? std::min(text_.find('&', at), text_.size()) : text_.find('\'', at + 9);
    if (at == text_.npos) return add("options", ours);
    text_.insert(at, uri_ ? percent_encoded(" " + ours) : " " + ours);
  }

  std::string take() { return std::move(text_); }

private:
  std::string text_;
  bool uri_;
};

[[noreturn]] void unreadable(cell c, const char* as) {
  throw std::runtime_error{std::string{"column "} + c.column + " is no " + as};
}

} // namespace

secret connection_string(const database_config& config) {
  auto limit = config.statement_timeout.count();
  auto option = [](const char* name, const std::string& value) {
    return std::string{"-c "} + name + "=" + value + " ";
  };
  auto options = option("statement_timeout", std::to_string(limit)) +
                 option("lock_timeout", std::to_string(limit / 2)) +
                 option("idle_in_transaction_session_timeout", std::to_string(limit + 5'000)) +
                 option("synchronous_commit", "on") + option("timezone", "UTC") +
                 option("datestyle", "ISO");
  options.pop_back();

  auto connect_seconds = (config.connect_timeout.count() + 999) / 1000;
  address out{config.url.reveal()};
  out.add("application_name", config.application_name);
  out.add("client_encoding", "UTF8");
  out.add("connect_timeout", std::to_string(std::max<std::int64_t>(connect_seconds, 2)));
  // A server that vanished without a word is noticed although nobody closed the connection.
  out.add("keepalives", "1");
  out.add("keepalives_idle", "10");
  out.add("keepalives_interval", "5");
  out.add("keepalives_count", "3");
  out.add("tcp_user_timeout", std::to_string(limit > 0 ? limit + 5'000 : 60'000));
  out.add_options(options);
  return secret{out.take()};
}

sql_connection::sql_connection(const database_config& config)
    : link_{connection_string(config).reveal()} {
#if PQXX_VERSION_MAJOR < 7
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
  // libpqxx 6 would connect again by itself in the middle of a transaction; libpqxx 7 does not.
  link_.inhibit_reactivation(true);
#pragma GCC diagnostic pop
#endif
}

void sql_connection::prepare(const char* name, const char* sql) {
  if (prepared_.contains(name)) return;
  link_.prepare(name, sql);
  prepared_.insert(name);
}

void backoff::failed() {
  next_ = steady::now() + step_;
  step_ = std::min(step_ * 2, std::chrono::milliseconds{1'000});
}

std::string first_line(const std::exception& e) {
  std::string_view text{e.what()};
  return std::string{text.substr(0, text.find('\n'))};
}

param::param(time_point t) {
  auto micros = std::chrono::floor<std::chrono::microseconds>(t.time_since_epoch()).count();
  auto rest = std::to_string(((micros % 1'000'000) + 1'000'000) % 1'000'000);
  text_ = format_iso_s(t);
  text_.pop_back();
  text_.append(".").append(6 - rest.size(), '0').append(rest).append("Z");
}

param bytes(std::string_view raw) {
  static constexpr std::string_view digits = "0123456789abcdef";
  std::string out = "\\x";
  for (char c : raw) {
    out.push_back(digits[static_cast<unsigned char>(c) >> 4]);
    out.push_back(digits[static_cast<unsigned char>(c) & 15]);
  }
  return param{std::move(out)};
}

void array_param::add(std::string_view text) {
  auto& out = next();
  out.push_back('"');
  for (char c : text) {
    if (c == '"' || c == '\\') out.push_back('\\');
    out.push_back(c);
  }
  out.push_back('"');
}

sql_transaction::sql_transaction(sql_connection& connection, access how) : connection_{connection} {
  auto& link = connection.link();
  switch (how) {
  case access::read:
  case access::append:
    inside_ = std::make_unique<pqxx::nontransaction>(link);
    break;
  case access::snapshot:
    inside_ = std::make_unique<snapshot_transaction>(link);
    break;
  case access::write:
    inside_ = std::make_unique<pqxx::work>(link);
    break;
  }
}

constexpr statement publish{"publish_changes", R"sql(
  SELECT pg_notify('binnacle_changes', payload) FROM unnest($1::text[]) AS payload
)sql"};

void sql_transaction::publish_changes() {
  if (!changes_.empty()) exec(*this, publish, array_of(to_payloads(changes_)));
}

constexpr statement allow_more{"allow_more_time",
                               "SELECT set_config('statement_timeout', $1, true)"};
void allow(transaction& tx, std::chrono::milliseconds statement_timeout) {
  exec(tx, allow_more, statement_timeout.count());
}

std::int64_t integer_of(cell c) {
  if (c.is_null()) return 0;
  std::int64_t out = 0;
  std::string_view text{c.text};
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc{} || end != text.data() + text.size()) unreadable(c, "integer");
  return out;
}

std::string raw_of(cell c) {
  std::string out;
  if (c.is_null()) return out;
  std::string_view hex{c.text};
  if (!hex.starts_with("\\x") || hex.size() % 2 != 0) unreadable(c, "bytea");
  auto digit = [&](char x) { return x <= '9' ? x - '0' : x - 'a' + 10; };
  for (std::size_t i = 2; i + 1 < hex.size(); i += 2)
    out.push_back(static_cast<char>(digit(hex[i]) * 16 + digit(hex[i + 1])));
  return out;
}

decimal decimal_of(cell c) {
  if (c.is_null()) return {};
  auto out = decimal::parse(c.text);
  if (!out) unreadable(c, "decimal");
  return *out;
}

time_point time_of(cell c) {
  // 2025-02-07 03:10:02.123456+00, the session's time zone being UTC.
  auto text = text_of(c);
  if (!text.ends_with("+00")) unreadable(c, "time in UTC");
  auto out = parse_iso(text.replace(text.size() - 3, 3, "Z"));
  if (!out) unreadable(c, "time");
  return *out;
}

date day_of(cell c) {
  auto out = parse_date(text_of(c), 1700);
  if (!out) unreadable(c, "date");
  return *out;
}

} // namespace binnacle::persistence
