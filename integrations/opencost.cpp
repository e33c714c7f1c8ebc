#include "integrations/opencost.hpp"

#include "config/base/json.hpp"
#include "config/base/utf8.hpp"

#include <algorithm>
#include <array>
#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/value.hpp>
#include <map>
#include <stdexcept>

namespace binnacle::integrations {
namespace {

namespace bj = boost::json;

constexpr std::size_t longest_detail = 500;

fault wrong_shape(const std::string& why) {
  return {errc::upstream_failed, "OpenCost answered in an unknown form", {}, "OpenCost: " + why};
}

/// The message of an OpenCost error or of a Kubernetes Status; both call it that. Other bodies are
/// plain text, or HTML of something in between.
std::string message_of(const http_answer& answer) {
  auto parsed = json::parse(answer.body);
  if (parsed && parsed->is_object())
    if (const auto* message = parsed->get_object().if_contains("message");
        message && message->is_string())
      return text_of_others({message->get_string().data(), message->get_string().size()},
                            longest_detail);
  return text_of_others(answer.body, longest_detail);
}

/// A failure comes from the API server itself when its body is a Kubernetes Status.
bool is_from_api_server(const http_answer& answer) {
  auto parsed = json::parse(answer.body);
  if (!parsed || !parsed->is_object()) return false;
  const auto* kind = parsed->get_object().if_contains("kind");
  return kind && kind->is_string() && kind->get_string() == "Status";
}

/// What an admin should look at.
std::string advice(const http_answer& answer) {
  switch (answer.status) {
  case 401:
    return "The cluster rejected the token; put a valid one into the kubeconfig";
  case 403:
    return "The token may not use the service proxy; allow it get on services/proxy in namespace "
           "opencost";
  case 404:
    return is_from_api_server(answer)
               ? "The cluster has no service opencost in namespace opencost; install OpenCost"
               : "OpenCost has no allocation API at this path; update OpenCost";
  case 429:
    return "The cluster asks for fewer requests; it is tried again later";
  case 503:
    return "The cluster has no running OpenCost; check its pods";
  default:
    break;
  }
  if (answer.status >= 300 && answer.status < 400)
    return "The cluster answered with a redirect; put the final address into the kubeconfig";
  if (answer.status >= 400 && answer.status < 500)
    return "The cluster refused the request (" + std::to_string(answer.status) + ")";
  return "OpenCost failed (" + std::to_string(answer.status) + ")";
}

struct field {
  std::string_view name;
  std::optional<decimal> allocation::*value;
  bool may_be_negative = false;
};
constexpr std::array fields{
    field{"cpuCoreHours", &allocation::cpu_core_hours},
    field{"gpuHours", &allocation::gpu_hours},
    field{"ramByteHours", &allocation::ram_byte_hours},
    field{"pvByteHours", &allocation::pv_byte_hours},
    field{"cpuEfficiency", &allocation::cpu_efficiency},
    field{"ramEfficiency", &allocation::ram_efficiency},
    field{"totalCost", &allocation::total_cost, true}, // credits and adjustments
};

std::optional<decimal> sum(const std::optional<decimal>& a, const std::optional<decimal>& b) {
  if (!a || !b) return {};
  return *a + *b;
}

/// Ratios do not add up: the mean, weighted by the hours they are ratios of.
std::optional<decimal> mean(const std::optional<decimal>& a, const std::optional<decimal>& weight_a,
                            const std::optional<decimal>& b,
                            const std::optional<decimal>& weight_b) {
  auto weight = sum(weight_a, weight_b);
  if (!a || !b || !weight || weight->is_zero()) return {};
  return (*a * *weight_a + *b * *weight_b) / *weight;
}

void add(allocation& to, const allocation& more) {
  to.cpu_efficiency =
      mean(to.cpu_efficiency, to.cpu_core_hours, more.cpu_efficiency, more.cpu_core_hours);
  to.ram_efficiency =
      mean(to.ram_efficiency, to.ram_byte_hours, more.ram_efficiency, more.ram_byte_hours);
  to.cpu_core_hours = sum(to.cpu_core_hours, more.cpu_core_hours);
  to.gpu_hours = sum(to.gpu_hours, more.gpu_hours);
  to.ram_byte_hours = sum(to.ram_byte_hours, more.ram_byte_hours);
  to.pv_byte_hours = sum(to.pv_byte_hours, more.pv_byte_hours);
  to.total_cost = sum(to.total_cost, more.total_cost);
}

/// Takes what is wanted out of an answer while it is parsed: of the fifty members of a row seven
/// are, and a tree of all of them would cost more than everything else that happens to a row. What
/// is wrong is noted and the rest skipped, because only the whole answer tells whether it is one of
/// an OpenCost that failed.
class answer_reader {
public:
  static constexpr std::size_t max_object_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_array_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_key_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_string_size = static_cast<std::size_t>(-1);
  using error_code = boost::system::error_code;
  using text = bj::string_view;

  /// Nothing without an integral code.
  std::optional<std::int64_t> code() const { return code_; }
  result<allocation_set> take() {
    if (data_ == presence::absent) return wrong_shape("no data");
    if (!problem_.empty()) return wrong_shape(problem_);
    // One step without data makes the whole window incomplete.
    if (data_ == presence::null || sets_ == 0 || gap_) return allocation_set{false, {}};
    allocation_set out;
    out.rows.reserve(rows_.size());
    for (auto& [name, row] : rows_) out.rows.push_back(std::move(row.sum));
    return out;
  }

  // -- what the parser calls --------------------------------------------------------------------

  bool on_document_begin(error_code&) { return true; }
  bool on_document_end(error_code&) { return true; }
  bool on_object_begin(error_code&) {
    open(place_ == place::data  ? place::set
         : place_ == place::set ? place::row
                                : place::envelope,
         place_ == place::document || place_ == place::data || place_ == place::set);
    return true;
  }
  bool on_object_end(std::size_t, error_code&) { return close(); }
  bool on_array_begin(error_code&) {
    open(place::data, place_ == place::envelope && member_ == member::data);
    return true;
  }
  bool on_array_end(std::size_t, error_code&) { return close(); }
  bool on_key_part(text part, std::size_t, error_code&) {
    if (skipping_ == 0) key_.append(part.data(), part.size());
    return true;
  }
  bool on_key(text part, std::size_t, error_code&) {
    if (skipping_ > 0) return true;
    if (key_.empty()) {
      enter({part.data(), part.size()});
    } else {
      key_.append(part.data(), part.size());
      enter(key_);
      key_.clear();
    }
    return true;
  }
  bool on_string_part(text, std::size_t, error_code&) { return true; }
  bool on_string(text, std::size_t, error_code&) { return other_value(); }
  bool on_number_part(text part, error_code&) {
    if (skipping_ == 0) number_.append(part.data(), part.size());
    return true;
  }
  bool on_int64(std::int64_t n, text part, error_code&) {
    if (place_ == place::envelope && member_ == member::code && skipping_ == 0) code_ = n;
    return number(part);
  }
  bool on_uint64(std::uint64_t, text part, error_code&) { return number(part); }
  bool on_double(double, text part, error_code&) { return number(part); }
  bool on_bool(bool, error_code&) { return other_value(); }
  bool on_null(error_code&) {
    if (skipping_ > 0) return true;
    if (place_ == place::envelope && member_ == member::data) data_ = presence::null;
    if (place_ == place::data) gap_ = true;
    if (place_ == place::set) refuse();
    return true;
  }
  bool on_comment_part(text, error_code&) { return true; }
  bool on_comment(text, error_code&) { return true; }

private:
  enum class place { document, envelope, data, set, row };
  enum class member { other, code, data };
  enum class presence { absent, null, present };

  struct entry {
    allocation sum{};
    std::size_t set = 0; // the last that it stood in
  };

  void open(place inner, bool expected) {
    if (skipping_ > 0 || !wanted()) {
      ++skipping_;
    } else if (expected) {
      place_ = inner;
      if (inner == place::data) data_ = presence::present;
      if (inner == place::set) ++sets_;
      if (inner == place::row) begin_row();
    } else {
      refuse();
      ++skipping_;
    }
  }
  bool close() {
    if (skipping_ > 0) {
      --skipping_;
      return true;
    }
    if (place_ == place::row) end_row();
    place_ = static_cast<place>(static_cast<int>(place_) - 1);
    member_ = member::other;
    return true;
  }

  /// Whether the value that comes next is of interest.
  bool wanted() const {
    switch (place_) {
    case place::envelope:
      return member_ == member::data;
    case place::set:
      return !is_system_namespace(row_.name_space) && !row_.name_space.empty();
    case place::row:
      return field_ != nullptr;
    default:
      return true;
    }
  }

  void enter(std::string_view name) {
    switch (place_) {
    case place::envelope:
      member_ = name == "code" ? member::code : name == "data" ? member::data : member::other;
      if ((member_ == member::code && code_) ||
          (member_ == member::data && data_ != presence::absent))
        refuse_twice(name);
      break;
    case place::set:
      row_.name_space = name;
      break;
    case place::row: {
      auto found = std::ranges::find(fields, name, &field::name);
      field_ = found == fields.end() ? nullptr : &*found;
      if (!field_) break;
      auto bit = 1U << (found - fields.begin());
      if (seen_ & bit) refuse_twice(name);
      seen_ |= bit;
      break;
    }
    default:
      break;
    }
  }

  void begin_row() {
    row_ = {.name_space = std::move(row_.name_space)};
    field_ = nullptr;
    seen_ = 0;
  }
  void end_row() {
    auto [at, is_new] = rows_.try_emplace(row_.name_space);
    auto& [sum, last_set] = at->second;
    if (last_set == sets_) refuse_twice(row_.name_space);
    last_set = sets_;
    if (is_new)
      sum = std::move(row_);
    else
      add(sum, row_);
  }

  /// Unknown when it is negative where that makes no sense, or beyond what a decimal holds:
  /// OpenCost is known to report absurd numbers for a while after a restart of its database, and an
  /// unknown value is collected again while a wrong one is billed.
  bool number(text part) {
    if (skipping_ > 0) return true;
    if (place_ != place::row) {
      number_.clear();
      return other_value();
    }
    if (!field_) {
      number_.clear();
      return true;
    }
    number_.append(part.data(), part.size());
    auto value = decimal::parse(number_);
    number_.clear();
    if (value && *value < decimal{} && !field_->may_be_negative) value.reset();
    row_.*field_->value = value;
    return true;
  }
  bool other_value() {
    if (skipping_ == 0 && wanted()) refuse();
    return true;
  }

  void refuse() {
    switch (place_) {
    case place::envelope:
      return note("data is no array");
    case place::data:
      return note("a set is no object");
    case place::set:
      return note("an allocation is no object");
    case place::row:
      return note(std::string{field_->name} + " is no number");
    default:
      return;
    }
  }
  void refuse_twice(std::string_view name) { note(std::string{name} + " stands there twice"); }
  void note(std::string problem) {
    if (problem_.empty()) problem_ = std::move(problem);
  }

  place place_ = place::document;
  std::size_t skipping_ = 0; // depth inside a value of no interest
  member member_ = member::other;
  const field* field_ = nullptr;
  unsigned seen_ = 0; // fields of the row
  std::string key_{};
  std::string number_{};
  allocation row_{};

  std::optional<std::int64_t> code_{};
  presence data_ = presence::absent;
  std::size_t sets_ = 0;
  bool gap_ = false;
  std::string problem_{};
  std::map<std::string, entry> rows_{};
};

} // namespace

bool is_system_namespace(std::string_view name) {
  static constexpr std::array<std::string_view, 6> system{
      "kube-system", "kube-public", "kube-node-lease", "opencost", "hopsworks", "ingress-nginx"};
  // OpenCost's own rows are `__idle__` and the like; no Kubernetes name begins so.
  if (name.starts_with("__")) return true;
  return std::find(system.begin(), system.end(), name) != system.end();
}

http_call allocation_call(const kube_access& cluster, time_point from, time_point to,
                          std::chrono::milliseconds deadline) {
  http_call out;
  out.url = cluster.server +
            "/api/v1/namespaces/opencost/services/opencost:9003/proxy/allocation/compute?window=" +
            format_iso_s(from) + "," + format_iso_s(to) + "&aggregate=namespace&accumulate=false";
  out.headers = {{"Accept", "application/json"}};
  out.bearer = cluster.token;
  out.deadline = deadline;
  out.tls = cluster.tls;
  return out;
}

result<allocation_set> read_allocations(const http_answer& answer) {
  if (answer.status != 200)
    return fault{errc::upstream_failed, advice(answer), {}, message_of(answer)};
  bj::parse_options limits;
  limits.max_depth = json::max_depth;
  bj::basic_parser<answer_reader> parser{limits};
  boost::system::error_code error;
  try {
    auto used = parser.write_some(false, answer.body.data(), answer.body.size(), error);
    if (error || used != answer.body.size()) return wrong_shape("no JSON");
  } catch (const std::overflow_error&) {
    return wrong_shape("a sum is out of range");
  }
  auto& reader = parser.handler();
  if (!reader.code()) return wrong_shape("no envelope with a code");
  if (*reader.code() != 200)
    return fault{errc::upstream_failed,
                 "OpenCost failed (" + std::to_string(*reader.code()) + ")",
                 {},
                 message_of(answer)};
  return reader.take();
}

} // namespace binnacle::integrations
