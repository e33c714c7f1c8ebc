#include "persistence/reconciliation.hpp"

#include "persistence/credits.hpp"
#include "persistence/prices.hpp"
#include "persistence/sql.hpp"

#include <algorithm>
#include <map>
#include <numeric>
#include <set>
#include <tuple>

namespace binnacle::persistence {

std::string_view name_of(comparison c) {
  static constexpr std::array<std::string_view, comparison_count> names{
      "opencost",     "hour_price",      "project_day", "day",   "month",
      "meter_amount", "meter_remainder", "stripe",      "ledger"};
  return names[static_cast<std::size_t>(c)];
}

void reconciliation::add(difference d) {
  ++differences_[index(d.check)];
  if (shown_.size() < most_shown) shown_.push_back(std::move(d));
}

reconciliation& reconciliation::operator+=(const reconciliation& other) {
  for (std::size_t i = 0; i < comparison_count; ++i) {
    rows_[i] += other.rows_[i];
    differences_[i] += other.differences_[i];
  }
  auto room = most_shown - std::min(most_shown, shown_.size());
  auto taken = static_cast<std::ptrdiff_t>(std::min(room, other.shown_.size()));
  shown_.insert(shown_.end(), other.shown_.begin(), other.shown_.begin() + taken);
  return *this;
}

std::int64_t reconciliation::differences() const {
  return std::accumulate(differences_.begin(), differences_.end(), std::int64_t{0});
}

namespace {

/// What the layers of usage have in common.
struct amounts {
  quantities used{};
  charge cost{};
  decimal upstream{};

  amounts& operator+=(const amounts& other) {
    used += other.used;
    cost.credits += other.cost.credits;
    cost.compute_cost += other.cost.compute_cost;
    cost.storage_cost += other.cost.storage_cost;
    upstream += other.upstream;
    return *this;
  }
  bool operator==(const amounts&) const = default;
};

// The columns of `amounts`, which every layer has under names of its own.
#define SUMS(cpu, gpu, ram, online, offline, credits, upstream)                                    \
  cpu ", " gpu ", " ram ", " online ", " offline ", " credits                                      \
      ", compute_cost, storage_cost, " upstream

amounts amounts_of(const pqxx::row& row, int at) {
  return {.used = {.cpu_hours = decimal_of(row[at]),
                   .gpu_hours = decimal_of(row[at + 1]),
                   .ram_gb_hours = decimal_of(row[at + 2]),
                   .online_gb_hours = decimal_of(row[at + 3]),
                   .offline_gb_hours = decimal_of(row[at + 4])},
          .cost = {.credits = decimal_of(row[at + 5]),
                   .compute_cost = decimal_of(row[at + 6]),
                   .storage_cost = decimal_of(row[at + 7])},
          .upstream = decimal_of(row[at + 8])};
}

struct column {
  const char* name;
  decimal (*of)(const amounts&);
};
constexpr column columns[]{
    {"cpu_hours", [](const amounts& a) { return a.used.cpu_hours; }},
    {"gpu_hours", [](const amounts& a) { return a.used.gpu_hours; }},
    {"ram_gb_hours", [](const amounts& a) { return a.used.ram_gb_hours; }},
    {"online_gb_hours", [](const amounts& a) { return a.used.online_gb_hours; }},
    {"offline_gb_hours", [](const amounts& a) { return a.used.offline_gb_hours; }},
    {"credits", [](const amounts& a) { return a.cost.credits; }},
    {"compute_cost", [](const amounts& a) { return a.cost.compute_cost; }},
    {"storage_cost", [](const amounts& a) { return a.cost.storage_cost; }},
    {"upstream_cost", [](const amounts& a) { return a.upstream; }},
};

/// A difference for each column that differs, at the row that `at` names.
void compare(const amounts& expected, const amounts& actual, difference at, reconciliation& out) {
  if (expected == actual) return;
  for (const auto& c : columns) {
    if (c.of(expected) == c.of(actual)) continue;
    at.what = c.name;
    at.expected = c.of(expected).str();
    at.actual = c.of(actual).str();
    out.add(at);
  }
}

void add_missing(difference at, bool is_there, reconciliation& out) {
  at.what = "row";
  at.expected = is_there ? "none" : "a row";
  at.actual = is_there ? "a row" : "none";
  out.add(std::move(at));
}

/// Both layers by the key of the second; `at` makes the difference that names a key's row.
template <class Key, class At>
void compare(const std::map<Key, amounts>& expected, const std::map<Key, amounts>& actual, At at,
             reconciliation& out) {
  for (const auto& [key, is] : actual) {
    auto should = expected.find(key);
    if (should == expected.end())
      add_missing(at(key), true, out);
    else
      compare(should->second, is, at(key), out);
  }
  for (const auto& [key, should] : expected)
    if (!actual.contains(key)) add_missing(at(key), false, out);
  out.compared(at(Key{}).check, static_cast<std::int64_t>(actual.size()));
}

} // namespace

constexpr statement names_of_clusters{"names_of_clusters", "SELECT id, name FROM clusters"};
constexpr statement hours_of_day{"reconciled_hours", R"sql(
  SELECT h.cluster_id, h.namespace, h.hour, h.user_id, )sql" SUMS("cpu_hours", "gpu_hours",
                                                                  "ram_gb_hours", "online_gb_hours",
                                                                  "offline_gb_hours", "credits",
                                                                  "upstream_cost") R"sql(
  FROM clusters c
  JOIN usage_hourly h ON h.cluster_id = c.id AND h.hour >= $1 AND h.hour < $2
  WHERE ($3::text IS NULL OR h.user_id = $3) ORDER BY h.hour, h.cluster_id, h.namespace
)sql"};
constexpr statement projects_of_users{"reconciled_projects", R"sql(
  SELECT user_id, cluster_id, namespace, )sql" SUMS("cpu_hours", "gpu_hours", "ram_gb_hours",
                                                             "online_gb_hours", "offline_gb_hours",
                                                             "credits", "upstream_cost") R"sql(
  FROM usage_project_daily WHERE day = $1 AND ($2::text IS NULL OR user_id = $2)
)sql"};
constexpr statement day_of_users{"reconciled_days",
                                 R"sql(
  SELECT user_id, )sql" SUMS("opencost_cpu_hours", "opencost_gpu_hours", "opencost_ram_gb_hours",
                                 "online_storage_gb_hours", "offline_storage_gb_hours",
                                 "total_credits", "opencost_total_cost") R"sql(
  FROM usage_daily WHERE day = $1 AND ($2::text IS NULL OR user_id = $2)
)sql"};

namespace {

std::map<std::string, std::string> cluster_names(transaction& tx) {
  std::map<std::string, std::string> out;
  for (auto row : exec(tx, names_of_clusters)) out.emplace(text_of(row[0]), text_of(row[1]));
  return out;
}

struct project_key {
  user_id who{};
  std::string cluster{}; // id
  std::string name_space{};

  auto operator<=>(const project_key&) const = default;
};

} // namespace

result<reconciliation> reconcile_day(transaction& tx, const user_id& who, date day) {
  allow(tx, minutes{10});
  auto prices = load_price_history(tx);
  if (!prices) return prices.error();
  auto names = cluster_names(tx);
  reconciliation out;

  std::map<project_key, amounts> of_hours;
  auto hours_booked =
      exec(tx, hours_of_day, start_of(day), start_of(day) + hours{24}, or_null(who));
  for (auto row : hours_booked) {
    project_key key{{text_of(row[3])}, text_of(row[0]), text_of(row[1])};
    auto hour = time_of(row[2]);
    auto booked = amounts_of(row, 4);
    auto priced = booked;
    priced.cost = price(booked.used, prices->at(hour));
    compare(priced, booked,
            {.check = comparison::hour_price,
             .who = key.who,
             .day = day,
             .cluster = names[key.cluster],
             .name_space = key.name_space,
             .hour = hour,
             .against = "price list"},
            out);
    if (!key.who.empty()) of_hours[key] += booked;
  }
  out.compared(comparison::hour_price, static_cast<std::int64_t>(hours_booked.size()));

  std::map<project_key, amounts> projects;
  std::map<user_id, amounts> of_projects, days;
  for (auto row : exec(tx, projects_of_users, day, or_null(who))) {
    project_key key{{text_of(row[0])}, text_of(row[1]), text_of(row[2])};
    of_projects[key.who] += projects[key] = amounts_of(row, 3);
  }
  for (auto row : exec(tx, day_of_users, day, or_null(who)))
    days[{text_of(row[0])}] = amounts_of(row, 1);

  compare(
      of_hours, projects,
      [&](const project_key& key) {
        return difference{.check = comparison::project_day,
                          .who = key.who,
                          .day = day,
                          .cluster = names[key.cluster],
                          .name_space = key.name_space,
                          .against = "usage_hourly"};
      },
      out);
  compare(
      of_projects, days,
      [&](const user_id& key) {
        return difference{
            .check = comparison::day, .who = key, .day = day, .against = "usage_project_daily"};
      },
      out);
  return out;
}

constexpr statement sums_of_days{"reconciled_sums_of_days", R"sql(
  SELECT user_id, sum(opencost_cpu_hours), sum(opencost_gpu_hours), sum(opencost_ram_gb_hours),
    sum(online_storage_gb_hours), sum(offline_storage_gb_hours), sum(total_credits),
    sum(compute_cost), sum(storage_cost), 0
  FROM usage_daily
  WHERE day >= $1 AND day < ($1::date + interval '1 month')::date
    AND ($2::text IS NULL OR user_id = $2)
  GROUP BY user_id
)sql"};
constexpr statement month_of_users{"reconciled_months", R"sql(
  SELECT user_id, )sql" SUMS("cpu_hours", "gpu_hours", "ram_gb_hours", "online_gb_hours",
                                                        "offline_gb_hours", "credits", "0") R"sql(
  FROM usage_monthly WHERE month = $1 AND ($2::text IS NULL OR user_id = $2)
)sql"};
result<reconciliation> reconcile_month(transaction& tx, const user_id& who, date day) {
  allow(tx, minutes{10});
  date first{day.year() / day.month() / 1};
  std::map<user_id, amounts> of_days, months;
  for (auto row : exec(tx, sums_of_days, first, or_null(who)))
    of_days[{text_of(row[0])}] = amounts_of(row, 1);
  for (auto row : exec(tx, month_of_users, first, or_null(who)))
    months[{text_of(row[0])}] = amounts_of(row, 1);

  reconciliation out;
  compare(
      of_days, months,
      [&](const user_id& key) {
        return difference{
            .check = comparison::month, .who = key, .day = first, .against = "usage_daily"};
      },
      out);
  return out;
}

// -- credits -----------------------------------------------------------------------------------

result<reconciliation> reconcile_ledger(transaction& tx, const user_id& who) {
  allow(tx, minutes{10});
  auto wrong = verify_ledger(tx, who);
  if (!wrong) return wrong.error();
  reconciliation out;
  out.compared(comparison::ledger, 1);
  for (auto& sentence : *wrong)
    out.add({.check = comparison::ledger, .who = who, .what = std::move(sentence)});
  return out;
}

constexpr statement next_ledgers{"reconciled_ledgers", R"sql(
  SELECT user_id FROM credit_accounts WHERE user_id > $1 ORDER BY user_id LIMIT $2
)sql"};
result<ledgers_reconciled> reconcile_ledgers(transaction& tx, const user_id& after,
                                             std::int64_t limit) {
  ledgers_reconciled out;
  for (auto row : exec(tx, next_ledgers, after, limit)) {
    out.last = {text_of(row[0])};
    auto one = reconcile_ledger(tx, out.last);
    if (!one) return one.error();
    out.found += *one;
  }
  return out;
}

// -- OpenCost ----------------------------------------------------------------------------------

constexpr statement hours_of_cluster{"reconciled_hours_of_cluster", R"sql(
  SELECT hour, namespace, user_id, cpu_hours, gpu_hours, ram_gb_hours, online_gb_hours,
    offline_gb_hours, upstream_cost
  FROM usage_hourly WHERE cluster_id = $1 AND hour = ANY($2::timestamptz[])
)sql"};
constexpr statement namespaces_of_user{"reconciled_namespaces", R"sql(
  SELECT namespace FROM user_projects WHERE cluster_id = $1 AND user_id = $2 AND status = 'active'
)sql"};

namespace {

/// What OpenCost tells of a namespace and hour, and what is booked.
struct told_column {
  const char* name;
  std::optional<decimal> hour_row::*of;
};
constexpr told_column told_columns[]{{"cpu_hours", &hour_row::cpu_hours},
                                     {"gpu_hours", &hour_row::gpu_hours},
                                     {"ram_gb_hours", &hour_row::ram_gb_hours},
                                     {"online_gb_hours", &hour_row::online_gb_hours},
                                     {"offline_gb_hours", &hour_row::offline_gb_hours},
                                     {"upstream_cost", &hour_row::upstream_cost}};

void compare_told(const hour_row& told, const hour_row& booked, difference at,
                  reconciliation& out) {
  for (const auto& c : told_columns) {
    const auto &expected = told.*c.of, &actual = booked.*c.of;
    if (!expected || *expected == actual.value_or(decimal{})) continue;
    at.what = c.name;
    at.expected = expected->str();
    at.actual = actual ? actual->str() : "unknown";
    out.add(at);
  }
}

} // namespace

result<reconciliation> reconcile_hours(transaction& tx, const user_id& who, const cluster& of,
                                       const std::vector<hour_of_usage>& told) {
  allow(tx, minutes{10});
  std::set<std::string> theirs;
  for (auto row : exec(tx, namespaces_of_user, of.id, who)) theirs.insert(text_of(row[0]));
  using key = std::pair<time_point, std::string>;
  std::map<key, std::pair<user_id, hour_row>> booked;
  array_param list;
  for (const auto& h : told) list.add(h.hour);
  for (auto row : exec(tx, hours_of_cluster, of.id, list))
    booked[{time_of(row[0]), text_of(row[1])}] = {{text_of(row[2])},
                                                  {.name_space = text_of(row[1]),
                                                   .cpu_hours = maybe_decimal(row[3]),
                                                   .gpu_hours = maybe_decimal(row[4]),
                                                   .ram_gb_hours = maybe_decimal(row[5]),
                                                   .online_gb_hours = maybe_decimal(row[6]),
                                                   .offline_gb_hours = maybe_decimal(row[7]),
                                                   .cpu_efficiency = {},
                                                   .ram_efficiency = {},
                                                   .upstream_cost = maybe_decimal(row[8])}};
  reconciliation out;
  auto at = [&](time_point hour, const std::string& name_space, const user_id& owner) {
    return difference{.check = comparison::opencost,
                      .who = owner,
                      .day = date_of(hour),
                      .cluster = of.name,
                      .name_space = name_space,
                      .hour = hour,
                      .against = "OpenCost"};
  };
  for (const auto& h : told)
    for (const auto& row : h.rows) {
      auto found = booked.extract({h.hour, row.name_space});
      auto owner = found ? found.mapped().first : user_id{};
      auto concerned = who.empty() || owner == who || (!found && theirs.contains(row.name_space));
      if (!concerned) continue;
      out.compared(comparison::opencost, 1);
      if (found)
        compare_told(row, found.mapped().second, at(h.hour, row.name_space, owner), out);
      else
        add_missing(at(h.hour, row.name_space, who), false, out);
    }
  // What is left is booked, and OpenCost does not tell it.
  auto zero = decimal{};
  for (const auto& [where, what] : booked) {
    const auto& [owner, row] = what;
    if (!who.empty() && owner != who) continue;
    hour_row nothing{.name_space = where.second,
                     .cpu_hours = zero,
                     .gpu_hours = zero,
                     .ram_gb_hours = zero,
                     .online_gb_hours = zero,
                     .offline_gb_hours = {}, // not OpenCost's to tell
                     .cpu_efficiency = {},
                     .ram_efficiency = {},
                     .upstream_cost = zero};
    out.compared(comparison::opencost, 1);
    compare_told(nothing, row, at(where.first, where.second, owner), out);
  }
  return out;
}

} // namespace binnacle::persistence
