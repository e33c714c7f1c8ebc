#include "commands.hpp"

#include "actors/messages.hpp"
#include "actors/reconciler.hpp"
#include "command_support.hpp"
#include "config/base/log.hpp"
#include "http/routes/platform/reconciliation.hpp"
#include "http/service.hpp"
#include "installation.hpp"
#include "integrations/passwords.hpp"
#include "integrations/tokens.hpp"
#include "persistence/clusters.hpp"
#include "persistence/meters.hpp"
#include "persistence/migrations.hpp"
#include "persistence/prices.hpp"
#include "persistence/users.hpp"

#include <algorithm>
#include <caf/actor_system.hpp>
#include <caf/scoped_actor.hpp>
#include <iostream>
#include <unistd.h>

namespace binnacle::commands {
namespace {

std::string lower_case(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

bool is_email(const std::string& text) {
  auto at = text.find('@');
  return at != text.npos && at > 0 && at + 1 < text.size() && text.size() <= 254 &&
         text.find_first_of(" \t\r\n\"<>") == text.npos && text.rfind('@') == at;
}

/// Runs `body` beside the service's actors, without timers and without a listener. What is being
/// done is counted in `unit`s on a terminal.
int with_service(settings config, const char* unit,
                 const std::function<int(http::service&)>& body) {
  auto installed = installation::open(config);
  if (!installed) return complain(installed.error());
  if (auto applied = persistence::migrate((*installed)->database()); !applied)
    return complain(applied.error());
  progress_bar bar{unit};
  http::service_options parts;
  parts.listen = false;
  parts.timers = false;
  parts.on_progress = [&](std::int64_t finished, std::int64_t total) { bar.show(finished, total); };
  auto started = http::service::start(config, parts);
  if (!started) return complain(started.error());
  auto code = body(**started);
  (*started)->stop();
  return code;
}

} // namespace

int serve(settings config) {
  auto began = std::chrono::steady_clock::now();
  auto installed = installation::open(config, false);
  if (!installed) return complain(installed.error());
  auto applied = persistence::migrate((*installed)->database());
  if (!applied) return complain(applied.error());
  auto local_accounts = config.identity.local_accounts;
  auto scale = config.rate_limit_scale;
  auto started = http::service::start(config);
  if (!started) return complain(started.error());
  auto& running = **started;

  auto address = config.http.listen.substr(0, config.http.listen.rfind(':'));
  auto url = "http://" + address + ":" + std::to_string(running.port());
  auto took = std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - began);
  std::cout << (*installed)->summary() << "\n";
  if (!applied->empty())
    std::cout << "Schema: applied " << applied->size() << " migration(s), last " << applied->back()
              << "\n";
  std::cout << "Binnacle is ready at " << url << " after " << took.count() << " ms.\n";
  if (scale != 1) std::cout << "WARNING: every rate limit is multiplied by " << scale << ".\n";
  if (local_accounts) {
    bool empty = true;
    persistence::database db{(*installed)->database()};
    (void)db.run(persistence::access::read, [&](persistence::transaction& tx) -> result<done> {
      auto any = persistence::any_user(tx);
      if (!any) return any.error();
      empty = !*any;
      return done{};
    });
    if (empty)
      std::cout << "Next: create the first admin:\n  curl -X POST " << url
                << "/api/setup -H 'Content-Type: application/json' \\\n"
                   "    -d '{\"username\":\"admin\",\"password\":\"choose one of 8 to 72\"}'\n";
  }
  std::cout << "Stop with Ctrl-C." << std::endl;

  auto by_signal = running.wait();
  std::cout << "\nStopping: answering what is in flight ..." << std::endl;
  auto cut_off = running.stop();
  if (cut_off > 0) std::cout << cut_off << " connection(s) had to be cut off.\n";
  started->reset();
  installed->reset();
  std::cout << "Stopped." << std::endl;
  return by_signal ? ok : internal;
}

int migrate(settings config, bool dry_run) {
  auto installed = installation::open(config);
  if (!installed) return complain(installed.error());
  auto applied = persistence::migrate((*installed)->database(), dry_run);
  if (!applied) return complain(applied.error());
  for (auto& name : *applied) std::cout << (dry_run ? "would apply " : "applied ") << name << "\n";
  if (applied->empty()) std::cout << "The schema is up to date.\n";
  return ok;
}

int collect(settings config, const collect_options& options) {
  collect_usage request{.again = options.again, .dry_run = options.dry_run};
  if (!options.from.empty() || !options.to.empty()) {
    auto from = parse_iso(options.from), to = parse_iso(options.to);
    if (!from || !to || *to <= *from || start_of_hour(*from) != *from ||
        start_of_hour(*to) != *to) {
      std::cerr << "binnacle: --from and --to take whole hours such as 2026-01-31T00:00:00Z, and "
                   "--from comes first\n";
      return usage;
    }
    request.from = unix_seconds(*from);
    request.to = unix_seconds(*to);
  }
  return with_service(std::move(config), "hours", [&](http::service& running) {
    auto code = static_cast<int>(failed);
    caf::scoped_actor me{running.system()};
    me->request(running.app().usage_collector, caf::infinite, request)
        .receive(
            [&](const collection& c) {
              std::cout << c.report << "\n";
              for (const auto& name : c.unowned)
                std::cerr << "binnacle: namespace " << name << " has no owner\n";
              // Nobody's usage is kept for later; that of a cluster that failed is not there.
              code = c.failed == std::ssize(c.unowned) ? ok : failed;
            },
            [&](const caf::error& e) {
              std::cerr << "binnacle: the collection failed: " << running.system().render(e)
                        << "\n";
            });
    return code;
  });
}

int sync_stripe(settings config, bool dry_run) {
  if (!config.stripe.configured() && !dry_run)
    return complain({errc::bad_request, "stripe_not_configured: set STRIPE_SECRET_KEY"});
  return with_service(std::move(config), "reports", [&](http::service& running) {
    auto code = static_cast<int>(failed);
    caf::scoped_actor me{running.system()};
    me->request(running.app().meter_sync, caf::infinite, sync_meters{.dry_run = dry_run})
        .receive(
            [&](const meter_sync& s) {
              std::cout << s.report << "\n";
              code = s.failed == 0 ? ok : failed;
            },
            [&](const caf::error& e) {
              std::cerr << "binnacle: usage could not be reported: " << running.system().render(e)
                        << "\n";
            });
    return code;
  });
}

namespace {

result<user_id> find_by_email(persistence::database& db, const std::string& email) {
  user_id out;
  auto ran = db.run(persistence::access::read, [&](persistence::transaction& tx) -> result<done> {
    auto who = persistence::find_user_by_email(tx, lower_case(email));
    if (!who) return who.error();
    if (!*who) return fault{errc::not_found, "no user with email " + email};
    out = (*who)->id;
    return done{};
  });
  if (!ran) return ran.error();
  return out;
}

void print(const books_report& report, const reconcile_options& how) {
  if (how.json) {
    std::cout << json::to_text(http::body_of(report)) << "\n";
  } else if (how.csv) {
    std::cout << http::table_of(report).text();
    for (const auto& why : report.incomplete) // a table of differences has no place for it
      std::cerr << "binnacle: not compared: " << why << "\n";
  } else {
    std::cout << http::text_of(report);
  }
}

} // namespace

int disputes(settings config, const dispute_options& options) {
  if (!options.identifier.empty() && !options.taken && !options.not_taken)
    return complain(bad_field("identifier", "say --taken or --not-taken"));
  return with_database(config, [&](persistence::database& db) {
    auto now = system_clock_source().now();
    auto how = options.identifier.empty() ? persistence::access::read : persistence::access::write;
    std::vector<persistence::meter_report> open;
    auto ran = db.run(how, [&](persistence::transaction& tx) -> result<done> {
      if (!options.identifier.empty())
        return persistence::decide_disputed_report(tx, options.identifier, options.taken, now);
      auto found = persistence::disputed_reports(tx);
      if (!found) return found.error();
      open = std::move(*found);
      return done{};
    });
    if (!ran) return complain(ran.error());
    for (const auto& r : open)
      std::cout << r.identifier << "  " << r.customer << "  " << format_date(start_of(r.day))
                << "  " << r.meter << "  " << r.value.str() << "  " << r.failure << "\n";
    return static_cast<int>(ok);
  });
}

int reconcile(settings config, const reconcile_options& options) {
  auto from = parse_date(options.from), to = parse_date(options.to);
  if ((!from && !options.from.empty()) || (!to && !options.to.empty()))
    return complain(bad_field("from", "--from and --to take days such as 2026-01-31"));
  auto request = plan_reconciliation(from, to, system_clock_source().now());
  if (!request) return complain(request.error());
  request->stripe = options.stripe;
  request->opencost = options.opencost;
  if (!options.email.empty()) {
    auto same = config; // opening the database fills in where it is
    auto found = with_database(same, [&](persistence::database& db) {
      auto who = find_by_email(db, options.email);
      if (!who) return complain(who.error());
      request->user = who->value;
      return static_cast<int>(ok);
    });
    if (found != ok) return found;
  }
  return with_service(std::move(config), "days", [&](http::service& running) {
    auto code = static_cast<int>(failed);
    caf::scoped_actor me{running.system()};
    me->request(running.app().reconciler, caf::infinite, *request)
        .receive(
            [&](const reconciled_books& compared) {
              print(*compared.what, options);
              code = compared.what->agrees() ? ok : failed;
            },
            [&](const caf::error& e) {
              std::cerr << "binnacle: the books could not be compared: "
                        << running.system().render(e) << "\n";
            });
    return code;
  });
}

int token(settings config, const std::string& address, bool admin) {
  auto email = lower_case(address);
  if (!is_email(email)) return complain(bad_field("email", "--email: not an email address"));
  if (!config.identity.local_accounts)
    return complain({errc::bad_request, "identity.local_accounts is off: tokens come from the "
                                        "configured issuers"});
  return with_database(config, [&](persistence::database& db) {
    auto now = system_clock_source().now();
    persistence::user who;
    auto ran =
        db.run(persistence::access::write, [&](persistence::transaction& tx) -> result<done> {
          auto found = persistence::find_user_by_email(tx, email);
          if (!found) return found.error();
          result<done> changed{done{}};
          if (*found) {
            who = **found;
            if (admin && !who.is_admin) {
              changed = persistence::make_admin(tx, who.id, now);
              if (changed) changed = note(tx, "ADMIN_GRANTED", who.id, now);
            }
          } else {
            who = {.id = make_id<user_id>("usr_", now), .email = email, .is_admin = admin};
            who.created_at = now;
            changed = persistence::insert_user(tx, who);
            if (changed) changed = note(tx, "USER_CREATED", who.id, now);
          }
          return changed ? note(tx, "TOKEN_ISSUED", who.id, now) : changed;
        });
    if (!ran) return complain(ran.error());
    if (who.status != "active") return complain({errc::forbidden, "that user is " + who.status});
    auto key = integrations::signing_key::open(config.data_dir + "/secrets/token-signing-key.pem");
    if (!key) return complain(key.error());
    integrations::token_claims claims{.issuer = config.identity.issuer,
                                      .subject = who.id.value,
                                      .email = who.email,
                                      .kind = "access",
                                      .session_version = who.session_version,
                                      .issued_at = now,
                                      .expires_at = now + config.identity.access_token_life};
    std::cout << (*key)->sign(claims) << "\n";
    return static_cast<int>(ok);
  });
}

int add_user(settings config, const user_options& options) {
  std::string password;
  if (::isatty(STDIN_FILENO) == 1) std::cerr << "Password: " << std::flush;
  std::getline(std::cin, password);
  auto email = lower_case(options.email);
  if (!email.empty() && !is_email(email))
    return complain(bad_field("email", "--email: not an email address"));
  if (password.size() < 8 || password.size() > 72)
    return complain(bad_field("password", "the password must have 8 to 72 bytes"));
  auto clean = options.username.size() >= 3 && options.username.size() <= 50 &&
               std::ranges::all_of(options.username, [](unsigned char c) {
                 return std::isalnum(c) != 0 || c == '_' || c == '-';
               });
  if (!clean) return complain(bad_field("username", "--username: 3 to 50 of a-z A-Z 0-9 _ -"));
  return with_database(config, [&](persistence::database& db) {
    auto now = system_clock_source().now();
    persistence::user who{.id = make_id<user_id>("usr_", now),
                          .username = options.username,
                          .email = email,
                          .password_hash = integrations::hash_password(secret{password}),
                          .is_admin = options.admin};
    who.created_at = now;
    auto ran =
        db.run(persistence::access::write, [&](persistence::transaction& tx) -> result<done> {
          auto inserted = persistence::insert_user(tx, who);
          return inserted ? note(tx, "USER_CREATED", who.id, now) : inserted;
        });
    if (!ran) return complain(ran.error());
    std::cout << who.id.value << "\n";
    return static_cast<int>(ok);
  });
}

int add_project(settings config, const project_options& options) {
  return with_database(config, [&](persistence::database& db) {
    auto now = system_clock_source().now();
    auto ran =
        db.run(persistence::access::write, [&](persistence::transaction& tx) -> result<done> {
          auto who = persistence::find_user_by_email(tx, lower_case(options.email));
          if (!who) return who.error();
          if (!*who) return fault{errc::not_found, "no user with email " + options.email};
          auto cluster = persistence::find_cluster_by_name(tx, options.cluster);
          if (!cluster) return cluster.error();
          if (!*cluster) return fault{errc::not_found, "no cluster with name " + options.cluster};
          persistence::project p{.owner = (*who)->id,
                                 .cluster = (*cluster)->id,
                                 .name = options.name.empty() ? options.name_space : options.name,
                                 .name_space = options.name_space};
          auto assigned = persistence::assign_project(tx, p, now);
          if (!assigned) return assigned;
          return persistence::assign_cluster(tx, p.owner, p.cluster, user_id{}, now);
        });
    if (!ran) return complain(ran.error());
    std::cout << options.cluster << "/" << options.name_space << " -> " << options.email << "\n";
    return static_cast<int>(ok);
  });
}

int add_price(settings config, const price_options& options) {
  persistence::product_price price{.product = options.product,
                                   .stripe_price = options.stripe_price,
                                   .valid_from = system_clock_source().now()};
  auto number = decimal::parse(options.unit_price);
  if (!number) return complain(bad_field("unit_price", "--unit-price: not a decimal number"));
  price.unit_price = *number;
  if (!options.from.empty()) {
    auto from = parse_iso(options.from);
    if (!from)
      return complain(bad_field("from", "--from takes a time such as 2026-01-31T00:00:00Z"));
    price.valid_from = *from;
  }
  return with_database(config, [&](persistence::database& db) {
    auto added = db.run(persistence::access::write, [&](persistence::transaction& tx) {
      return persistence::add_price(tx, price);
    });
    if (!added) return complain(added.error());
    std::cout << price.product << " costs " << price.unit_price.str() << " from "
              << format_iso_s(price.valid_from) << " on.\n";
    return static_cast<int>(ok);
  });
}

} // namespace binnacle::commands
