/// Whatever the order, repetition or splitting of bookings: the totals are those of a plain model.
#include "persistence/clusters.hpp"
#include "persistence/usage.hpp"
#include "persistence/users.hpp"
#include "tests/persistence/postgres_fixture.hpp"

#include <algorithm>
#include <map>
#include <rapidcheck/gtest.h>

namespace binnacle::persistence {
namespace {

const auto midnight = *parse_iso("2025-03-01T00:00:00Z");
const auto first_day = date_of(midnight);
const auto last_day = date_of(midnight + hours{47});

/// Quantities with all twelve decimals, sometimes unknown.
rc::Gen<std::optional<decimal>> any_quantity() {
  return rc::gen::map(
      rc::gen::pair(rc::gen::inRange(0, 10), rc::gen::inRange<std::int64_t>(0, 5'000'000'000'000)),
      [](std::pair<int, std::int64_t> x) -> std::optional<decimal> {
        if (x.first == 0) return {};
        return decimal::parse(std::to_string(x.second) + "e-12");
      });
}

rc::Gen<hour_row> any_row(const std::string& name_space) {
  return rc::gen::build<hour_row>(rc::gen::set(&hour_row::name_space, rc::gen::just(name_space)),
                                  rc::gen::set(&hour_row::cpu_hours, any_quantity()),
                                  rc::gen::set(&hour_row::gpu_hours, any_quantity()),
                                  rc::gen::set(&hour_row::ram_gb_hours, any_quantity()),
                                  rc::gen::set(&hour_row::online_gb_hours, any_quantity()),
                                  rc::gen::set(&hour_row::offline_gb_hours, any_quantity()));
}

/// Rows of some of four namespaces.
rc::Gen<std::vector<hour_row>> any_rows() {
  using rows = std::vector<hour_row>;
  return rc::gen::map(
      rc::gen::pair(rc::gen::tuple(any_row("n1"), any_row("n2"), any_row("n3"), any_row("n4")),
                    rc::gen::inRange(0, 16)),
      [](const auto& x) {
        const auto& [n1, n2, n3, n4] = x.first;
        rows out;
        int bit = 1;
        for (const auto* row : {&n1, &n2, &n3, &n4}) {
          if (x.second & bit) out.push_back(*row);
          bit *= 2;
        }
        return out;
      });
}

/// A collection of one of a few hours around a midnight.
rc::Gen<hour_of_usage> any_hour() {
  return rc::gen::build<hour_of_usage>(
      rc::gen::set(&hour_of_usage::hour, rc::gen::map(rc::gen::inRange(22, 27),
                                                      [](int h) { return midnight + hours{h}; })),
      rc::gen::set(&hour_of_usage::complete, rc::gen::element(true, true, false)),
      rc::gen::set(&hour_of_usage::rows, any_rows()));
}

} // namespace
} // namespace binnacle::persistence

namespace rc {
template <>
struct Arbitrary<binnacle::persistence::hour_of_usage> {
  static auto arbitrary() { return binnacle::persistence::any_hour(); }
};
} // namespace rc

namespace binnacle::persistence {

std::ostream& operator<<(std::ostream& to, const hour_of_usage& h) {
  to << format_iso_s(h.hour) << (h.complete ? "" : " partial");
  auto show = [](const auto& q) { return q ? q->str() : "?"; };
  for (const auto& r : h.rows)
    to << " " << r.name_space << "(" << show(r.cpu_hours) << " " << show(r.gpu_hours) << " "
       << show(r.ram_gb_hours) << " " << show(r.online_gb_hours) << " " << show(r.offline_gb_hours)
       << ")";
  return to;
}

namespace {

/// The rules of booking, in the plainest form: a map of rows.
struct model {
  std::map<time_point, bool> complete{};
  std::map<time_point, std::map<std::string, hour_row>> rows{};

  void book(const hour_of_usage& h) {
    auto& whole = complete[h.hour];
    if (whole && !h.complete) return;
    whole = h.complete;
    auto old = rows[h.hour];
    auto& now = rows[h.hour];
    for (auto& [name, row] : now)
      row = {.name_space = name,
             .cpu_hours = decimal{},
             .gpu_hours = decimal{},
             .ram_gb_hours = decimal{},
             .online_gb_hours = decimal{},
             .offline_gb_hours = decimal{}};
    for (const auto& r : h.rows) {
      auto& was = old[r.name_space];
      auto& is = now[r.name_space] = r;
      for (auto field : {&hour_row::cpu_hours, &hour_row::gpu_hours, &hour_row::ram_gb_hours,
                         &hour_row::online_gb_hours, &hour_row::offline_gb_hours})
        if (!(is.*field)) is.*field = was.*field;
    }
  }

  price_history prices{};

  std::pair<quantities, charge> total(const std::vector<std::string>& of) const {
    quantities used;
    charge cost;
    auto zero = decimal{};
    for (const auto& [hour, by_name] : rows)
      for (const auto& name : of) {
        auto at = by_name.find(name);
        if (at == by_name.end()) continue;
        const auto& r = at->second;
        quantities q{r.cpu_hours.value_or(zero), r.gpu_hours.value_or(zero),
                     r.ram_gb_hours.value_or(zero), r.online_gb_hours.value_or(zero),
                     r.offline_gb_hours.value_or(zero)};
        auto c = price(q, prices.at(hour));
        used += q;
        cost.credits += c.credits;
        cost.compute_cost += c.compute_cost;
        cost.storage_cost += c.storage_cost;
      }
    return {used, cost};
  }
};

/// A cluster and two users of its own for every case: a has n1 and n2, b has n3, n4 is nobody's.
class world {
public:
  world() {
    static int count = 0;
    db_ = std::make_unique<database>(where().config());
    where().query("TRUNCATE stripe_products, collected_hours");
    auto n = std::to_string(++count);
    cls_ = {"cls_" + n};
    a_ = {"a_" + n};
    b_ = {"b_" + n};
    must(writing(*db_, [&](transaction& tx) -> result<done> {
      must(insert_cluster(tx, {.id = cls_, .name = n, .api_url = "https://c"}, midnight));
      must(insert_user(tx, {.id = a_, .created_at = midnight}));
      return insert_user(tx, {.id = b_, .created_at = midnight});
    }));
  }

  void give(const user_id& who, const std::string& ns) {
    must(writing(*db_, [&](transaction& tx) {
      return assign_project(tx, {who, cls_, ns, ns, {}}, midnight);
    }));
  }
  void give_all() {
    give(a_, "n1");
    give(a_, "n2");
    give(b_, "n3");
  }
  void book(const std::vector<hour_of_usage>& hours) {
    must(writing(*db_, [&](transaction& tx) { return book_usage(tx, cls_, hours, midnight); }));
  }
  void set_price(const char* product, decimal price, time_point from) {
    where().query("INSERT INTO stripe_products (product_type, unit_price, valid_from) VALUES ('" +
                  std::string{product} + "', " + price.str() + ", '" + format_iso_s(from) + "')");
  }
  std::pair<quantities, charge> total(const user_id& who) {
    auto t = must(reading(
        *db_, [&](transaction& tx) { return usage_between(tx, who, first_day, last_day); }));
    return {t.used, t.cost};
  }
  void check(const model& expected) {
    RC_ASSERT(total(a_) == expected.total({"n1", "n2"}));
    RC_ASSERT(total(b_) == expected.total({"n3"}));
    auto months = must(
        reading(*db_, [&](transaction& tx) { return days_between(tx, a_, first_day, last_day); }));
    quantities by_day;
    for (const auto& d : months) by_day += d.used;
    RC_ASSERT(by_day == total(a_).first);
    check_months(a_);
    check_months(b_);
  }
  /// The row of a month is what its days say.
  void check_months(const user_id& who) {
    auto month = must(db_->ask(month_summary_of(who, last_day)));
    auto [days, projects] = must(reading(*db_, [&](transaction& tx) {
      auto both = std::pair{must(usage_between(tx, who, first_day, last_day)),
                            must(projects_on(tx, who, last_day))};
      return result<decltype(both)>{std::move(both)};
    }));
    RC_ASSERT(month.totals == days);
    RC_ASSERT(month.today == projects);
  }
  const user_id& a() const { return a_; }

private:
  static test_database& where() {
    static test_database instance;
    return instance;
  }

  std::unique_ptr<database> db_{};
  cluster_id cls_{};
  user_id a_{}, b_{};
};

RC_GTEST_PROP(BookingOfAnything, GivesTheTotalsOfTheModel,
              (const std::vector<hour_of_usage>& hours)) {
  world w;
  w.give_all();
  model expected;

  for (const auto& h : hours) {
    w.book({h});
    expected.book(h);
  }

  w.check(expected);
}

RC_GTEST_PROP(BookingOfAnything, IsTheSameInOneCallAndInMany,
              (const std::vector<hour_of_usage>& hours)) {
  world w;
  w.give_all();
  model expected;
  for (const auto& h : hours) expected.book(h);

  for (std::size_t at = 0; at < hours.size();) {
    auto many = *rc::gen::inRange<std::size_t>(1, hours.size() - at + 1);
    w.book({hours.begin() + static_cast<long>(at), hours.begin() + static_cast<long>(at + many)});
    at += many;
  }

  w.check(expected);
}

/// Every hour has one complete collection; partial views of it may come at any time, any often.
RC_GTEST_PROP(BookingOfCompleteHours, DependsOnNoOrderAndNoRepetition, ()) {
  auto all_known = [](std::vector<hour_row> rows) {
    for (auto& r : rows)
      for (auto field : {&hour_row::cpu_hours, &hour_row::gpu_hours, &hour_row::ram_gb_hours,
                         &hour_row::online_gb_hours, &hour_row::offline_gb_hours})
        if (!(r.*field)) r.*field = decimal{1};
    return rows;
  };
  std::vector<hour_of_usage> deliveries;
  model expected;
  for (int h = 22; h < 26; ++h) {
    auto full = *any_hour();
    full.hour = midnight + hours{h};
    full.complete = true;
    full.rows = all_known(full.rows);
    expected.book(full);
    for (int copies = *rc::gen::inRange(1, 3); copies > 0; --copies) deliveries.push_back(full);
    for (int partial = *rc::gen::inRange(0, 3); partial > 0; --partial) {
      auto seen = full;
      seen.complete = false;
      for (auto& r : seen.rows) r.cpu_hours = *any_quantity();
      deliveries.push_back(seen);
    }
  }
  for (std::size_t i = deliveries.size(); i > 1; --i)
    std::swap(deliveries[i - 1], deliveries[*rc::gen::inRange<std::size_t>(0, i)]);

  world w;
  w.give_all();
  for (std::size_t at = 0; at < deliveries.size();) {
    auto many = *rc::gen::inRange<std::size_t>(1, 4);
    auto end = std::min(at + many, deliveries.size());
    w.book(
        {deliveries.begin() + static_cast<long>(at), deliveries.begin() + static_cast<long>(end)});
    at = end;
  }

  w.check(expected);
}

RC_GTEST_PROP(BookingBeforeAnOwnerIsKnown, IsAttributedLaterInFull,
              (const std::vector<hour_of_usage>& hours)) {
  world w;
  model expected;
  auto known_from = *rc::gen::inRange<std::size_t>(0, hours.size() + 1);

  for (std::size_t i = 0; i <= hours.size(); ++i) {
    if (i == known_from) w.give_all();
    if (i == hours.size()) break;
    w.book({hours[i]});
    expected.book(hours[i]);
  }

  w.check(expected);
}

/// A price is entered before the hours it is for are booked; collections of any earlier hour, first
/// ones and repeated ones, come at any time, and so do owners.
RC_GTEST_PROP(BookingAcrossPriceChanges, PricesAnHourByTheListOfThatHour, ()) {
  auto any_price = [] {
    return *rc::gen::map(rc::gen::inRange(0, 1'000),
                         [](int cents) { return decimal{cents} / decimal{100}; });
  };
  world w;
  model expected;
  auto owned_from = *rc::gen::inRange(22, 28);
  for (int h = 22; h < 28; ++h) {
    if (h == owned_from) w.give_all();
    if (*rc::gen::arbitrary<bool>()) {
      auto from = midnight + hours{h} - minutes{*rc::gen::inRange(0, 60)};
      auto credit = any_price(), online = any_price();
      w.set_price("compute_credits", credit, from);
      w.set_price("storage_online_gb", online, from);
      expected.prices.add(from,
                          make_price_list(credit, online, default_price_list().storage_offline_gb));
    }
    for (int collections = *rc::gen::inRange(0, 4); collections > 0; --collections) {
      auto collected = *any_hour();
      collected.hour = midnight + hours{*rc::gen::inRange(22, h + 1)};
      w.book({collected});
      expected.book(collected);
    }
  }

  w.check(expected);
}

} // namespace
} // namespace binnacle::persistence
