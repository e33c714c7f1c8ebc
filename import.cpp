#include "actors/admission.hpp"
#include "command_support.hpp"
#include "commands.hpp"
#include "config/base/json.hpp"
#include "http/surfaces.hpp"
#include "import_file.hpp"
#include "persistence/users.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <future>
#include <iostream>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace binnacle::commands {
namespace {

namespace assinante = persistence::assinante;
using assinante::outcome;
using persistence::transaction;

constexpr std::size_t most_shown = 100; // refusals

// -- storing -------------------------------------------------------------------------------------

/// How many rows of a kind were created, changed and left as they were.
struct tally {
  std::int64_t created = 0, changed = 0, unchanged = 0;

  void count(outcome o) {
    ++(o == outcome::created ? created : o == outcome::changed ? changed : unchanged);
  }
  tally& operator+=(const tally& t) {
    created += t.created;
    changed += t.changed;
    unchanged += t.unchanged;
    return *this;
  }
};
constexpr std::array<const char*, 4> kinds{"subscribers", "subscriptions", "orders", "invoices"};
using tallies = std::array<tally, kinds.size()>;

/// What became of one batch.
struct stored_batch {
  tallies counts{};
  std::vector<refusal> refused{};
  bool broken = false;                               // the transaction is of no further use
  std::unordered_map<std::string, user_id> people{}; // by address
};

class importer {
public:
  importer(std::string issuer, time_point now) : issuer_{std::move(issuer)}, now_{now} {}

  /// Stores all of the batch that can be, and tells what cannot. May be repeated.
  result<stored_batch> store(transaction& tx, const batch& b) const {
    stored_batch out;
    if (auto ok = store_subscribers(tx, b, out); !ok) return ok.error();
    if (out.broken) return out;
    if (auto ok = store_subscriptions(tx, b, out); !ok) return ok.error();
    auto orders = assinante::upsert_orders(tx, b.orders.what, now_);
    if (!orders) return orders.error();
    judge(*orders, b.orders.lines, "subscriptionId", out.counts[2], out.refused);
    auto invoices = assinante::upsert_invoices(tx, b.invoices.what, now_);
    if (!invoices) return invoices.error();
    judge(*invoices, b.invoices.lines, "subscriptionId", out.counts[3], out.refused);
    return out;
  }
  /// The batch is there for those after it.
  void keep(stored_batch& of) { people_.merge(of.people); }

private:
  result<done> store_subscribers(transaction& tx, const batch& b, stored_batch& out) const {
    for (std::size_t i = 0; i < b.subscribers.what.size(); ++i) {
      const auto& [who, uid] = b.subscribers.what[i];
      auto line = b.subscribers.lines[i];
      if (!uid.empty() && issuer_.empty()) {
        out.refused.push_back({line, "firebaseUid: no issuer is configured for this surface"});
        continue;
      }
      assinante::login_at login{uid.empty() ? "" : issuer_, uid};
      auto put = assinante::upsert_subscriber(tx, who, login, make_id<user_id>("usr_", now_), now_);
      if (!put && put.error().code == errc::conflict) {
        out.refused.push_back({line, put.error().field + ": " + put.error().text});
        out.broken = true;
        return done{};
      }
      if (!put) return put.error();
      out.counts[0].count(put->what);
      out.people.emplace(who.email, put->who);
    }
    return done{};
  }

  result<done> store_subscriptions(transaction& tx, const batch& b, stored_batch& out) const {
    std::vector<assinante::subscription> known;
    std::vector<std::int64_t> lines;
    for (std::size_t i = 0; i < b.subscriptions.what.size(); ++i) {
      const auto& [what, email] = b.subscriptions.what[i];
      auto who = email.empty() ? result<user_id>{what.who} : person(tx, email, out);
      if (!who) return who.error();
      lines.push_back(b.subscriptions.lines[i]);
      known.push_back(what);
      known.back().who = std::move(*who);
    }
    assinante::author by{.actor = "import"};
    auto put = assinante::upsert_subscriptions(tx, known, by, now_);
    if (!put) return put.error();
    judge(*put, lines, "email", out.counts[1], out.refused);
    return done{};
  }

  /// Empty: nobody.
  result<user_id> person(transaction& tx, const std::string& email, stored_batch& out) const {
    if (auto at = out.people.find(email); at != out.people.end()) return at->second;
    if (auto at = people_.find(email); at != people_.end()) return at->second;
    auto found = assinante::find_subscriber_by_email(tx, email);
    if (!found) return found.error();
    if (!*found) return user_id{};
    return out.people.emplace(email, (*found)->id).first->second;
  }

  static void judge(const std::vector<outcome>& outcomes, const std::vector<std::int64_t>& lines,
                    const char* parent, tally& counts, std::vector<refusal>& refused) {
    for (std::size_t i = 0; i < outcomes.size(); ++i) {
      if (outcomes[i] == outcome::orphaned)
        refused.push_back({lines[i], std::string{parent} + ": there is none like that"});
      else if (outcomes[i] == outcome::foreign)
        refused.push_back({lines[i], "id: belongs to another subscriber"});
      else
        counts.count(outcomes[i]);
    }
  }

  std::string issuer_;
  time_point now_;
  std::unordered_map<std::string, user_id> people_{}; // of the batches before
};

// -- the whole file ------------------------------------------------------------------------------

/// Hands out a batch after another, and reads the next one meanwhile, as long as `store` wants
/// more.
void each_batch(line_source& from, time_point now, const std::function<bool(const batch&)>& store) {
  batch_reader reader{from, now};
  auto read = [&reader] { return reader.next(); };
  auto ahead = std::async(std::launch::async, read);
  for (;;) {
    auto here = ahead.get();
    if (here.first == 0) return;
    ahead = std::async(std::launch::async, read);
    if (!store(here)) return;
  }
}

/// What the run has come to.
struct import_report {
  tallies counts{};
  std::vector<refusal> refused{};
  std::optional<fault> failure{};                   // why it ended early
  std::int64_t first_refused = 0, last_refused = 0; // the batches with refusals

  void add(const batch& b, const stored_batch& stored) {
    for (std::size_t i = 0; i < counts.size(); ++i) counts[i] += stored.counts[i];
    if (b.refused.empty() && stored.refused.empty()) return;
    refused.insert(refused.end(), b.refused.begin(), b.refused.end());
    refused.insert(refused.end(), stored.refused.begin(), stored.refused.end());
    if (first_refused == 0) first_refused = b.first;
    last_refused = b.last;
  }
};

std::string lines_of(std::int64_t first, std::int64_t last) {
  return "lines " + std::to_string(first) + " to " + std::to_string(last);
}

result<done> note_import(transaction& tx, const tallies& counts, time_point now) {
  json::object detail{{"by", "command line"}};
  auto touched = false;
  for (std::size_t i = 0; i < kinds.size(); ++i) {
    const auto& t = counts[i];
    if (t.created + t.changed == 0) continue;
    detail.add(kinds[i], json::object{{"created", t.created}, {"changed", t.changed}});
    touched = true;
  }
  if (!touched) return done{};
  persistence::audit_entry entry;
  entry.action = "ASSINANTE_IMPORTED";
  entry.detail = json::to_text(detail);
  return persistence::write_audit(tx, entry, now);
}

/// A batch that cannot be stored whole ends the run: what comes after it may need it.
import_report import_all(persistence::database& db, line_source& from, importer to, time_point now,
                         progress_bar& bar) {
  import_report out;
  each_batch(from, now, [&](const batch& b) {
    stored_batch stored;
    auto refused = fault{errc::unprocessable, "refused", {}, {}};
    auto store = [&](transaction& tx) -> result<done> {
      auto tried = to.store(tx, b);
      if (!tried) return tried.error();
      stored = std::move(*tried);
      return stored.refused.empty() ? note_import(tx, stored.counts, now) : refused;
    };
    auto ran =
        b.refused.empty() ? db.run(persistence::access::write, store) : result<done>{refused};
    auto whole = b.refused.empty() && stored.refused.empty();
    if (!ran && whole) out.failure = ran.error();
    if (!ran) stored.counts = {};
    out.add(b, stored);
    if (!ran && whole) out.first_refused = b.first, out.last_refused = b.last;
    to.keep(stored);
    bar.show(b.read, from.size());
    return ran.has_value();
  });
  return out;
}

/// Does all of it in one transaction, which is rolled back.
import_report rehearse(persistence::database& db, line_source& from, importer to, time_point now,
                       progress_bar& bar) {
  import_report out;
  auto begun = false, ended = false;
  auto ran = db.run(persistence::access::write, [&](transaction& tx) -> result<done> {
    // The file has been read by then.
    if (std::exchange(begun, true))
      return fault{errc::unavailable, "The database was busy: try again"};
    each_batch(from, now, [&](const batch& b) {
      auto stored = to.store(tx, b);
      if (!stored) {
        out.failure = stored.error();
        out.first_refused = b.first, out.last_refused = b.last;
        return false;
      }
      out.add(b, *stored);
      to.keep(*stored);
      bar.show(b.read, from.size());
      return !stored->broken;
    });
    ended = true;
    return fault{errc::unprocessable, "a dry run"};
  });
  if (!ended && !out.failure) out.failure = ran.error();
  return out;
}

int tell(import_report report, bool dry_run) {
  std::int64_t touched = 0;
  for (std::size_t i = 0; i < kinds.size(); ++i) {
    const auto& t = report.counts[i];
    touched += t.created + t.changed;
    if (t.created + t.changed + t.unchanged > 0)
      std::cout << kinds[i] << ": " << t.created << " created, " << t.changed << " changed, "
                << t.unchanged << " unchanged\n";
  }
  if (dry_run)
    std::cout << "This was a dry run: nothing was stored.\n";
  else if (touched == 0)
    std::cout << "Nothing was changed.\n";
  std::ranges::sort(report.refused, {}, &refusal::line);
  for (std::size_t i = 0; i < std::min(report.refused.size(), most_shown); ++i)
    std::cerr << "binnacle: line " << report.refused[i].line << ": " << report.refused[i].why
              << "\n";
  if (auto n = report.refused.size(); n > most_shown)
    std::cerr << "binnacle: and " << n - most_shown << " more lines\n";
  if (report.failure)
    std::cerr << "binnacle: " << lines_of(report.first_refused, report.last_refused) << ": "
              << (report.failure->field.empty() ? "" : report.failure->field + ": ")
              << report.failure->message() << "\n";
  if (report.refused.empty() && !report.failure) return ok;
  if (!dry_run) {
    std::cerr << "binnacle: nothing of " << lines_of(report.first_refused, report.last_refused)
              << " was stored, and nothing after them";
    if (report.first_refused > 1) std::cerr << "; what comes before them was";
    std::cerr << ". Mend the file and import it again: what is there already stays as it is.\n";
  }
  return report.failure && report.failure->code == errc::unavailable ? unavailable : failed;
}

/// Whose subjects are named by `firebaseUid`; empty: nobody's.
std::string issuer_of_subscribers(const identity_settings& config) {
  auto at = std::ranges::find_if(
      config.issuers, [](const issuer_settings& i) { return serves(i, http::assinante); });
  return at == config.issuers.end() ? "" : at->issuer;
}

} // namespace

int import_rows(settings config, const import_options& options) {
  if (options.surface != "assinante")
    return complain(bad_field("surface", "--surface: only assinante has an import"));
  line_source from{options.file};
  if (!from.good()) return complain(bad_field("file", "cannot read " + options.file));
  auto issuer = issuer_of_subscribers(config.identity);
  return with_database(config, [&](persistence::database& db) {
    auto now = system_clock_source().now();
    progress_bar bar{"bytes"};
    importer to{issuer, now};
    auto report = options.dry_run ? rehearse(db, from, std::move(to), now, bar)
                                  : import_all(db, from, std::move(to), now, bar);
    auto code = tell(std::move(report), options.dry_run);
    if (from.broke()) return complain(fault{errc::conflict, options.file + " could not be read"});
    return code;
  });
}

} // namespace binnacle::commands
