#include "persistence/prices.hpp"
#include "persistence/sql.hpp"
#include "persistence/usage.hpp"
#include "persistence/usage_days.hpp"

#include <map>
#include <set>

namespace binnacle::persistence {
namespace {

/// A row of usage_hourly: what stands there, or shall.
struct hour_entry {
  user_id owner{};
  bool complete = true;
  hour_row row{};
  bool stood = false;   // before this call
  bool booked = false;  // by this call
  bool changed = false; // booked, or set to zero
};

/// One hour of the cluster, by namespace.
struct hour_state {
  bool complete = false; // collected completely, before or now
  bool marked = false;   // collected completely now
  std::map<std::string, hour_entry, std::less<>> rows{};
};

result<done> check(const std::vector<hour_of_usage>& hours) {
  for (const auto& h : hours) {
    if (start_of_hour(h.hour) != h.hour) return bad_field("hour", "Not the start of an hour");
    for (const auto& r : h.rows)
      for (const auto& q :
           {r.cpu_hours, r.gpu_hours, r.ram_gb_hours, r.online_gb_hours, r.offline_gb_hours})
        if (q && *q < decimal{})
          return fault{errc::unprocessable, "A negative quantity", "rows",
                       r.name_space + " at " + format_iso_s(h.hour)};
  }
  return done{};
}

/// An unknown value never replaces a known one.
hour_row merged(const hour_row& old, const hour_row& fresh) {
  auto known = [](const auto& now, const auto& before) { return now ? now : before; };
  return {
      .name_space = fresh.name_space,
      .cpu_hours = known(fresh.cpu_hours, old.cpu_hours),
      .gpu_hours = known(fresh.gpu_hours, old.gpu_hours),
      .ram_gb_hours = known(fresh.ram_gb_hours, old.ram_gb_hours),
      .online_gb_hours = known(fresh.online_gb_hours, old.online_gb_hours),
      .offline_gb_hours = known(fresh.offline_gb_hours, old.offline_gb_hours),
      .cpu_efficiency = known(fresh.cpu_efficiency, old.cpu_efficiency),
      .ram_efficiency = known(fresh.ram_efficiency, old.ram_efficiency),
      .upstream_cost = known(fresh.upstream_cost, old.upstream_cost),
  };
}

hour_row nothing_used(const std::string& name_space) {
  auto zero = decimal{};
  return {.name_space = name_space,
          .cpu_hours = zero,
          .gpu_hours = zero,
          .ram_gb_hours = zero,
          .online_gb_hours = zero,
          .offline_gb_hours = zero,
          .cpu_efficiency = {},
          .ram_efficiency = {},
          .upstream_cost = zero};
}

charge cost_of(const hour_row& r, const price_list& at) {
  auto zero = decimal{};
  return price({.cpu_hours = r.cpu_hours.value_or(zero),
                .gpu_hours = r.gpu_hours.value_or(zero),
                .ram_gb_hours = r.ram_gb_hours.value_or(zero),
                .online_gb_hours = r.online_gb_hours.value_or(zero),
                .offline_gb_hours = r.offline_gb_hours.value_or(zero)},
               at);
}

} // namespace

constexpr statement hours_standing{"hours_standing", R"sql(
  SELECT hour, namespace, user_id, complete, cpu_hours, gpu_hours, ram_gb_hours, online_gb_hours,
         offline_gb_hours, cpu_efficiency, ram_efficiency, upstream_cost
  FROM usage_hourly WHERE cluster_id = $1 AND hour = ANY($2::timestamptz[])
)sql"};
constexpr statement hours_complete{"hours_complete", R"sql(
  SELECT hour FROM collected_hours WHERE cluster_id = $1 AND hour = ANY($2::timestamptz[]) AND complete
)sql"};
constexpr statement owners_of_namespaces{"owners_of_namespaces", R"sql(
  SELECT namespace, user_id, name FROM user_projects
  WHERE cluster_id = $1 AND namespace = ANY($2::text[]) AND status = 'active'
)sql"};
// Rows that are new to their hour, and rows that stand there already: under the usage lock it is
// known which are which, and a plain INSERT takes half as long as one that looks for conflicts. The
// arrays are unnested in the select list, in step, because FROM unnest(…) would first materialise
// the rows, and hours travel as seconds, because times are slow to parse.
#define STORE_HOURS                                                                                \
  "INSERT INTO usage_hourly (cluster_id, updated_at, hour, namespace, user_id, complete, "         \
  "cpu_hours, gpu_hours, ram_gb_hours, online_gb_hours, offline_gb_hours, cpu_efficiency, "        \
  "ram_efficiency, upstream_cost, credits, compute_cost, storage_cost) "                           \
  "SELECT $1, $2, to_timestamp(unnest($3::float8[])), unnest($4::text[]), unnest($5::text[]), "    \
  "unnest($6::boolean[]), unnest($7::numeric[]), unnest($8::numeric[]), unnest($9::numeric[]), "   \
  "unnest($10::numeric[]), unnest($11::numeric[]), unnest($12::numeric[]), "                       \
  "unnest($13::numeric[]), unnest($14::numeric[]), unnest($15::numeric[]), "                       \
  "unnest($16::numeric[]), unnest($17::numeric[]) "
constexpr statement insert_hours{"insert_hours", STORE_HOURS};
constexpr statement replace_hours{"replace_hours", STORE_HOURS R"sql(
  ON CONFLICT (cluster_id, hour, namespace) DO UPDATE SET
    user_id = EXCLUDED.user_id, complete = EXCLUDED.complete, cpu_hours = EXCLUDED.cpu_hours,
    gpu_hours = EXCLUDED.gpu_hours, ram_gb_hours = EXCLUDED.ram_gb_hours,
    online_gb_hours = EXCLUDED.online_gb_hours, offline_gb_hours = EXCLUDED.offline_gb_hours,
    cpu_efficiency = EXCLUDED.cpu_efficiency, ram_efficiency = EXCLUDED.ram_efficiency,
    upstream_cost = EXCLUDED.upstream_cost, credits = EXCLUDED.credits,
    compute_cost = EXCLUDED.compute_cost, storage_cost = EXCLUDED.storage_cost,
    updated_at = EXCLUDED.updated_at
)sql"};
constexpr statement mark_collected{"mark_collected", R"sql(
  INSERT INTO collected_hours AS c (cluster_id, hour, complete, collected_at)
  SELECT $1, h.hour, h.complete, $4
  FROM unnest($2::timestamptz[], $3::boolean[]) AS h(hour, complete) ORDER BY h.hour
  ON CONFLICT (cluster_id, hour) DO UPDATE SET
    complete = c.complete OR EXCLUDED.complete, collected_at = EXCLUDED.collected_at,
    holder = NULL, lease_until = NULL, failure = NULL
)sql"};

namespace {

/// Rows on their way into usage_hourly, as one array per column.
class row_batch {
public:
  void add(time_point hour, const hour_entry& entry, const charge& cost) {
    const auto& r = entry.row;
    hour_.add(unix_seconds(hour));
    namespace_.add(std::string_view{r.name_space});
    entry.owner.empty() ? owner_.add_null() : owner_.add(std::string_view{entry.owner.value});
    complete_.add(entry.complete);
    cpu_.add(r.cpu_hours);
    gpu_.add(r.gpu_hours);
    ram_.add(r.ram_gb_hours);
    online_.add(r.online_gb_hours);
    offline_.add(r.offline_gb_hours);
    cpu_efficiency_.add(r.cpu_efficiency);
    ram_efficiency_.add(r.ram_efficiency);
    upstream_.add(r.upstream_cost);
    credits_.add(cost.credits);
    compute_.add(cost.compute_cost);
    storage_.add(cost.storage_cost);
    empty_ = false;
  }

  void store(transaction& tx, const statement& how, const cluster_id& cluster, time_point now) {
    if (empty_) return;
    exec(tx, how, cluster, now, hour_, namespace_, owner_, complete_, cpu_, gpu_, ram_, online_,
         offline_, cpu_efficiency_, ram_efficiency_, upstream_, credits_, compute_, storage_);
  }

private:
  bool empty_ = true;
  array_param hour_, namespace_, owner_, complete_, cpu_, gpu_, ram_, online_, offline_,
      cpu_efficiency_, ram_efficiency_, upstream_, credits_, compute_, storage_;
};

/// One call of book_usage. The usage lock makes reading, merging and writing one step.
class booking_run {
public:
  booking_run(transaction& tx, const cluster_id& cluster, const price_history& prices,
              time_point now)
      : tx_{tx}, cluster_{cluster}, prices_{prices}, now_{now} {}

  booking book(const std::vector<hour_of_usage>& hours) {
    std::set<date> days;
    for (const auto& h : hours) {
      days.insert(date_of(h.hour));
      hours_[h.hour];
      for (const auto& r : h.rows) booked_.try_emplace(r.name_space, booked_row{r.name_space});
    }
    read_standing();
    read_owners();
    for (const auto& h : hours) apply(h);
    store();
    mark();
    recompute_days(tx_, cluster_, days, {}, now_);
    return report();
  }

private:
  void read_standing() {
    array_param list;
    for (const auto& [hour, state] : hours_) list.add(hour);
    for (auto row : exec(tx_, hours_complete, cluster_, list))
      hours_[time_of(row[0])].complete = true;
    for (auto row : exec(tx_, hours_standing, cluster_, list)) {
      hour_entry entry{.owner = {text_of(row[2])},
                       .complete = truth_of(row[3]),
                       .row = {.name_space = text_of(row[1]),
                               .cpu_hours = maybe_decimal(row[4]),
                               .gpu_hours = maybe_decimal(row[5]),
                               .ram_gb_hours = maybe_decimal(row[6]),
                               .online_gb_hours = maybe_decimal(row[7]),
                               .offline_gb_hours = maybe_decimal(row[8]),
                               .cpu_efficiency = maybe_decimal(row[9]),
                               .ram_efficiency = maybe_decimal(row[10]),
                               .upstream_cost = maybe_decimal(row[11])},
                       .stood = true};
      auto& rows = hours_[time_of(row[0])].rows;
      rows.emplace(entry.row.name_space, std::move(entry));
    }
  }

  void read_owners() {
    array_param list;
    for (const auto& [name, row] : booked_) list.add(std::string_view{name});
    for (auto row : exec(tx_, owners_of_namespaces, cluster_, list)) {
      auto& booked = booked_.at(text_of(row[0]));
      booked.owner = {text_of(row[1])};
      booked.project_name = text_of(row[2]);
    }
  }

  /// Puts one collected hour in the place of what stands there.
  void apply(const hour_of_usage& h) {
    auto& state = hours_[h.hour];
    // A late answer about the partial hour, or one with gaps, is worth less than what a whole
    // collection has booked.
    if (state.complete && !h.complete) return;
    state.complete = state.marked = h.complete;

    std::set<std::string_view> seen;
    for (const auto& r : h.rows) {
      seen.insert(r.name_space);
      auto [at, fresh] = state.rows.try_emplace(r.name_space);
      auto& entry = at->second;
      entry.row = fresh ? r : merged(entry.row, r);
      entry.complete = h.complete;
      entry.booked = entry.changed = true;
      // A row that stands keeps its owner: a namespace that changed hands leaves its past behind.
      if (entry.owner.empty()) entry.owner = booked_.at(r.name_space).owner;
    }
    for (auto& [name, entry] : state.rows) {
      if (seen.contains(name)) continue;
      entry.row = nothing_used(name);
      entry.complete = h.complete;
      entry.changed = true;
    }
  }

  void store() {
    row_batch fresh, standing;
    for (const auto& [hour, state] : hours_) {
      const auto& list = prices_.at(hour);
      for (const auto& [name, entry] : state.rows)
        if (entry.changed)
          (entry.stood ? standing : fresh).add(hour, entry, cost_of(entry.row, list));
    }
    fresh.store(tx_, insert_hours, cluster_, now_);
    standing.store(tx_, replace_hours, cluster_, now_);
  }

  void mark() {
    array_param hour, complete;
    for (const auto& [at, state] : hours_) {
      hour.add(at);
      complete.add(state.marked);
    }
    exec(tx_, mark_collected, cluster_, hour, complete, now_);
  }

  /// Each namespace with its owner: of its project, else of what was booked for it earlier.
  booking report() {
    booking out;
    for (const auto& [hour, state] : hours_)
      for (const auto& [name, entry] : state.rows) {
        if (entry.stood && entry.booked) ++out.replaced;
        if (!entry.booked || entry.owner.empty()) continue;
        auto& booked = booked_.at(name);
        if (booked.owner.empty()) booked.owner = entry.owner;
      }
    for (auto& [name, row] : booked_) out.rows.push_back(std::move(row));
    return out;
  }

  transaction& tx_;
  const cluster_id& cluster_;
  const price_history& prices_;
  time_point now_;
  std::map<time_point, hour_state> hours_{};
  std::map<std::string, booked_row> booked_{};
};

} // namespace

constexpr statement cluster_exists{"cluster_exists", "SELECT FROM clusters WHERE id = $1"};
result<booking> book_usage(transaction& tx, const cluster_id& cluster,
                           const std::vector<hour_of_usage>& hours, time_point now) {
  if (auto sound = check(hours); !sound) return sound.error();
  if (hours.empty()) return booking{};
  lock_usage(tx);
  if (exec(tx, cluster_exists, cluster).empty()) return missing("Cluster not found");
  // Under the lock: a price entered meanwhile either counts here, or is refused for these hours.
  auto prices = load_price_history(tx);
  if (!prices) return prices.error();
  return booking_run{tx, cluster, *prices, now}.book(hours);
}

} // namespace binnacle::persistence
